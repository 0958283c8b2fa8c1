# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for the stack: until a definition is established, until a workload serves; with the words of the pods if it does not.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import ssl
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _stack_objects
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANES
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, KplaneError, NotFound, WaitTimeout
from ansible_collections.kplane.core.plugins.module_utils._stack_objects import Object
from ansible_collections.kplane.core.plugins.module_utils._wait import condition, describe, wait_for

_POLL = 0.25
_EVENTS = 5
#: Reasons of waiting containers that say nothing.
_DULL: t.Final = frozenset({"ContainerCreating", "PodInitializing"})


def wait_serving(client: Client, objects: t.Sequence[Object], timeout: float) -> None:
    """Wait until all of ``objects`` that can be waited for serve."""
    pending = [obj for obj in objects if obj.workload or obj.resource == _stack_objects.DEFINITIONS]
    deadline = time.monotonic() + timeout
    last: dict[str, Json | None] = {}
    while pending:
        left = []
        for obj in pending:
            live = _look(client, obj, last.get(obj.key))
            last[obj.key] = live
            if not serves(obj, live):
                left.append(obj)
        pending = left
        if not pending:
            return
        if time.monotonic() >= deadline:
            raise _late(client, pending[0], last[pending[0].key], timeout)
        time.sleep(_POLL)


def _look(client: Client, obj: Object, before: Json | None) -> Json | None:
    try:
        return client.get(obj.resource, obj.name, obj.namespace)
    except NotFound:
        return None
    except ConnectionFailed:
        return before  # the API server of the cluster may be away for a moment; the deadline bounds this


def serves(obj: Object, live: Json | None) -> bool:
    """Whether an object has become what was declared."""
    if live is None:
        return False
    status = live.get("status") or {}
    if obj.resource == _stack_objects.DEFINITIONS:
        return condition(live, "Established").get("status") == "True"
    if int(status.get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0):
        return False
    wanted = int((live.get("spec") or {}).get("replicas", 1))
    fields = ["updatedReplicas", "readyReplicas", "availableReplicas"]
    if any(int(status.get(field) or 0) < wanted for field in fields):
        return False
    if obj.resource == _stack_objects.STATEFUL_SETS:
        return bool(status.get("currentRevision") == status.get("updateRevision"))
    return int(status.get("replicas") or 0) == wanted


def ran(live: Json) -> bool:
    """Whether a pod of the newest kind of a workload has become ready."""
    status = live.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0):
        return False
    updated, total, ready = (int(status.get(field) or 0) for field in ("updatedReplicas", "replicas", "readyReplicas"))
    return updated > total - ready


def _late(client: Client, obj: Object, live: Json | None, timeout: float) -> WaitTimeout:
    if not obj.workload:
        return WaitTimeout(f"{obj.key} was not established within {timeout:g} seconds. Last seen: {describe(live)}")
    status = (live or {}).get("status") or {}
    wanted = ((live or {}).get("spec") or {}).get("replicas", 1)
    parts = [f"{status.get('readyReplicas') or 0} of {wanted} replicas are ready, {status.get('updatedReplicas') or 0} are of the new kind"]
    try:
        pods, events = diagnose(client, obj)
    except KplaneError as exc:
        pods, events = [f"its pods cannot be read: {exc.message}"], []
    parts += pods + [f"event: {text}" for text in events]
    return WaitTimeout(f"{obj.key} did not serve within {timeout:g} seconds: " + "; ".join(parts), pods=pods, events=events)


def diagnose(client: Client, obj: Object) -> tuple[list[str], list[str]]:
    """What the pods of a workload and the events about them say."""
    labels = obj.body["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    pods = client.list_all(_stack_objects.PODS, obj.namespace, label_selector=selector)[0]
    said = [text for pod in pods for text in _pod_words(pod)]
    events = client.list_all(_stack_objects.EVENTS, obj.namespace)[0]
    about = tuple(f"{name}" for name in (obj.name, *(pod["metadata"]["name"] for pod in pods)))
    ours = [
        event
        for event in events
        if event.get("type") == "Warning" and str((event.get("involvedObject") or {}).get("name") or "").startswith(about)
    ]
    ours.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return said, [f"{event.get('reason')} ({event['involvedObject'].get('name')}): {event.get('message')}" for event in ours[-_EVENTS:]]


def _pod_words(pod: Json) -> t.Iterator[str]:
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"pod {name} is not scheduled: {scheduled.get('message') or scheduled.get('reason')}"
    for entry in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = entry.get("state") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in _DULL:
            yield f"pod {name}, container {entry['name']}: {waiting['reason']}: {waiting.get('message') or ''}".rstrip(": ")
        if ended:
            words = ended.get("message") or ended.get("reason") or ""
            yield f"pod {name}, container {entry['name']} ended with code {ended.get('exitCode')}: {words}".rstrip(": ")


def wait_planes_gone(client: Client, names: t.Sequence[str], timeout: float) -> None:
    """Wait until the virtual control planes are away."""
    errors = wait_for(client, CONTROL_PLANES, names, lambda unused, obj: obj is None, timeout, "deleted").errors
    for error in errors.values():
        raise error


def wait_gone(client: Client, references: t.Sequence[Json], timeout: float) -> None:
    """Wait until every namespace and definition of ``references`` is away; the rest goes at once or with them."""
    deadline = time.monotonic() + timeout
    pending = [entry for entry in references if entry["kind"] in ("Namespace", "CustomResourceDefinition")]
    while pending:
        left = []
        for entry in pending:
            resource = _stack_objects.KINDS[(entry["apiVersion"], entry["kind"])]
            try:
                live = client.get(resource, entry["name"])
            except NotFound:
                continue
            if live["metadata"].get("deletionTimestamp"):
                left.append(entry)
        pending = left
        if pending and time.monotonic() >= deadline:
            raise WaitTimeout(f"{pending[0]['kind']} {pending[0]['name']} is still being deleted after {timeout:g} seconds")
        time.sleep(_POLL if pending else 0)


def wait_way_in(address: str, ca: str, timeout: float) -> None:
    """Wait until the shared API server answers outside of the cluster, with a certificate of the management plane's CA."""
    trust = ssl.create_default_context(cadata=ca)
    connection = _auth.Connection(server=address.rstrip("/"), ssl_context=trust, headers={}, context="way in")
    deadline = time.monotonic() + timeout
    with Client(connection, 5.0) as client:
        while True:
            try:
                client.request("GET", "/readyz", timeout=5.0, attempts=1)
                return
            except KplaneError as exc:
                if time.monotonic() >= deadline:
                    raise WaitTimeout(
                        f"All parts of the management plane run, but {address} did not answer within {timeout:g} seconds: {exc.message}"
                    ) from exc
            time.sleep(_POLL)
