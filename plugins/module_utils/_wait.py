# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for conditions of objects: by list and watch, never longer than allowed, and no longer than there is hope.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import Resource
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, Expired, KplaneError, WaitTimeout

#: What a check says of one object: nothing yet, done, or an error that ends the wait for it.
Verdict = t.Union[None, bool, KplaneError]
Check = t.Callable[[str, t.Optional[Json]], Verdict]

#: A watch is renewed after this long, so that one that died silently costs no more than that.
_WATCH_SECONDS = 20.0
_RECONNECT_DELAY = 0.5


class Outcome(t.NamedTuple):
    """How waiting ended: the objects last seen, and an error for each name that did not arrive."""

    objects: dict[str, Json | None]
    errors: dict[str, KplaneError]


def condition(obj: Json | None, kind: str) -> Json:
    """The condition ``kind`` of an object, or an empty one."""
    for entry in ((obj or {}).get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return t.cast(Json, entry)
    return {}


def describe(obj: Json | None) -> str:
    """What the object says of itself, for the end of an error message."""
    if obj is None:
        return "the object does not exist"
    entries = (obj.get("status") or {}).get("conditions") or []
    if not entries:
        return "the object has no conditions yet; is the operator running?"
    parts, said = [], set()
    for entry in entries:
        reason = f" ({entry['reason']})" if entry.get("reason") else ""
        # Conditions that follow from each other carry the same words: once is enough.
        message = f": {entry['message']}" if entry.get("message") and entry["message"] not in said else ""
        said.add(entry.get("message"))
        parts.append(f"{entry.get('type')}={entry.get('status')}{reason}{message}")
    return "; ".join(parts)


def wait_for(client: Client, resource: Resource, names: t.Iterable[str], check: Check, timeout: float, what: str) -> Outcome:
    """Wait until ``check`` is satisfied, or hopeless, for every name; one list and one watch serve them all.

    ``check(name, object)`` gets ``None`` for an object that is not there.
    """
    pending = set(names)
    outcome = Outcome({}, {})
    deadline = time.monotonic() + timeout
    lost: KplaneError | None = None

    def see(name: str, obj: Json | None) -> None:
        outcome.objects[name] = obj
        verdict = check(name, obj)
        if isinstance(verdict, KplaneError):
            outcome.errors[name] = verdict
        if verdict:
            pending.discard(name)

    while pending:
        try:
            version = _look(client, resource, pending, see)
            left = deadline - time.monotonic()
            if not pending or left <= 0:
                break
            selector = f"metadata.name={next(iter(pending))}" if len(pending) == 1 else ""
            for event in client.watch(resource, version, min(left, _WATCH_SECONDS), field_selector=selector):
                name = event.object["metadata"].get("name", "") if event.type != "BOOKMARK" else ""
                if name in pending:
                    see(name, None if event.type == "DELETED" else event.object)
                if not pending:
                    break
            lost = None
        except Expired:
            continue
        except ConnectionFailed as exc:
            # A server that is being restarted is worth the time that is left.
            lost = exc
            time.sleep(min(_RECONNECT_DELAY, max(0.0, deadline - time.monotonic())))
        if time.monotonic() >= deadline:
            break
    for name in pending:
        seen = f"the server could not be reached any more: {lost.message}" if lost else describe(outcome.objects.get(name))
        outcome.errors[name] = WaitTimeout(f"{name} was not {what} within {timeout:g} seconds. Last seen: {seen}")
    return outcome


def _look(client: Client, resource: Resource, pending: set[str], see: t.Callable[[str, Json | None], None]) -> str:
    """Read the present state of what is pending; the resource version to watch from."""
    selector = f"metadata.name={next(iter(pending))}" if len(pending) == 1 else ""
    items, version = client.list_all(resource, field_selector=selector)
    found = {item["metadata"]["name"]: item for item in items}
    for name in list(pending):
        see(name, found.get(name))
    return version
