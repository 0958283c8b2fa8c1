# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a request, from its query string and body, with the rules and the words of Kubernetes.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (resource versions, watch lists, dry run, field validation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kplane_server.model.errors import (
    BadRequest,
    Cause,
    InOrder,
    Invalid,
    Json,
    field_forbidden,
    field_invalid,
    field_not_supported,
    field_required,
    invalid,
)
from kplane_server.model.identity import UserInfo

#: A query string: each name with its first value, or with all of them.
Query = Mapping[str, "str | Sequence[str]"]

EXACT: Final = "Exact"
NOT_OLDER_THAN: Final = "NotOlderThan"

BACKGROUND: Final = "Background"
FOREGROUND: Final = "Foreground"
ORPHAN: Final = "Orphan"

FIELD_MANAGER_MAX_LENGTH: Final = 128
_SELECTOR_MAX_LENGTH: Final = 16_384
_MAX_REVISION: Final = 2**63 - 1
_NO_REVISION: Final = "invalid resource version: resourceVersion: Invalid value"


@dataclass(slots=True)
class RequestContext:
    """Who asks, and how: shared by all steps of one request. ``warnings`` become ``Warning`` headers.

    duplicates: what the decoder of the body found (``duplicate field "spec.x"``), judged together with unknown fields.
    annotations: what admission has to say to the audit log.
    """

    user: UserInfo
    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Ignore"
    warnings: list[str] = field(default_factory=list)
    force: bool = False
    duplicates: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)

    def annotate(self, key: str, value: str) -> None:
        """Leave an audit annotation; the first one under a key stays."""
        if len(self.annotations) < 64:
            self.annotations.setdefault(key, value)

    def warn(self, text: str) -> None:
        if text not in self.warnings and len(self.warnings) < 64:
            self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list selects. ``resource_version`` None: unset (consistent read); 0: any."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: int | None = None
    resource_version_match: str = ""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch selects and where it starts."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: int | None = None
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    allow_bookmarks: bool = False
    timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must hold of an object for its deletion."""

    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How a deletion goes. ``propagation_policy`` empty: the resource's own default (Background)."""

    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    preconditions: Preconditions = Preconditions()


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch body. ``document`` is the parsed JSON (or YAML, for apply): a list for a JSON patch, else an object."""

    content_type: str
    document: Json
    force: bool = False


def parse_list_options(query: Query) -> ListOptions:
    """The options of a list or a deletecollection. Raises BadRequest and Invalid in upstream's words."""
    version = _text(query, "resourceVersion")
    match = _text(query, "resourceVersionMatch")
    token = _text(query, "continue")
    causes: list[Cause] = []
    if match:
        if not version:
            causes.append(field_forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if token:
            causes.append(field_forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER_THAN):
            causes.append(field_not_supported("resourceVersionMatch", match, InOrder((EXACT, NOT_OLDER_THAN, ""))))
        if match == EXACT and version == "0":
            causes.append(field_forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if _text(query, "sendInitialEvents"):
        causes.append(field_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _raise("ListOptions", causes)
    _integer(query, "timeoutSeconds")  # a list ends by itself, but nonsense is refused
    if token and version not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    return ListOptions(
        label_selector=_selector(query, "labelSelector"),
        field_selector=_selector(query, "fieldSelector"),
        limit=max(0, _integer(query, "limit") or 0),
        continue_token=token,
        resource_version=parse_revision(version),
        resource_version_match=match,
    )


def parse_watch_options(query: Query) -> WatchOptions:
    """The options of a watch. Raises BadRequest and Invalid in upstream's words."""
    match = _text(query, "resourceVersionMatch")
    initial = boolean(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    causes: list[Cause] = []
    if initial is not None and match != NOT_OLDER_THAN:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}"
        causes.append(field_forbidden("resourceVersionMatch", why))
    if match:
        if initial is None:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(field_forbidden("resourceVersionMatch", why))
        if match != NOT_OLDER_THAN:
            causes.append(field_not_supported("resourceVersionMatch", match, (NOT_OLDER_THAN,)))
    if _text(query, "continue") and (match or not _text(query, "resourceVersion")):
        causes.append(field_forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    _raise("ListOptions", causes)
    return WatchOptions(
        label_selector=_selector(query, "labelSelector"),
        field_selector=_selector(query, "fieldSelector"),
        resource_version=parse_revision(_text(query, "resourceVersion")),
        resource_version_match=match,
        send_initial_events=initial,
        allow_bookmarks=boolean(query, "allowWatchBookmarks"),
        timeout_seconds=_integer(query, "timeoutSeconds"),
    )


def parse_get_options(query: Query) -> int | None:
    """The ``resourceVersion`` of a get: the answer must not be older."""
    return parse_revision(_text(query, "resourceVersion"))


def parse_write_options(query: Query, user: UserInfo, *, kind: str, user_agent: str = "", apply: bool = False) -> RequestContext:
    """The context of a create, update or patch; ``kind`` is CreateOptions, UpdateOptions or PatchOptions, for the error."""
    causes: list[Cause] = []
    dry_run = _dry_run(_texts(query, "dryRun"), causes)
    manager = _text(query, "fieldManager")
    _check_manager(manager, causes)
    if apply and not manager:
        causes.append(field_required("fieldManager", "is required for apply patch"))
    force = boolean(query, "force")
    if "force" in query and kind == "PatchOptions" and not apply:
        causes.append(field_forbidden("force", "may not be specified for non-apply patch"))
    validation = _text(query, "fieldValidation")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        causes.append(field_not_supported("fieldValidation", validation, ("Ignore", "Warn", "Strict", "")))
    _raise(kind, causes)
    return RequestContext(
        user=user,
        dry_run=dry_run,
        field_manager=manager or manager_from_user_agent(user_agent),
        field_validation=validation or "Warn",
        force=force,
    )


def parse_delete_options(query: Query, body: Json | None = None) -> tuple[DeleteOptions, bool]:
    """The options of a delete from its body or else its query string, and whether it is a dry run."""
    if body is not None:
        source = _delete_body(body)
    else:
        source = {
            "dryRun": list(_texts(query, "dryRun")),
            "gracePeriodSeconds": _integer(query, "gracePeriodSeconds"),
            "propagationPolicy": _text(query, "propagationPolicy") or None,
            "orphanDependents": boolean(query, "orphanDependents") if "orphanDependents" in query else None,
        }
    causes: list[Cause] = []
    policy = source.get("propagationPolicy")
    orphan = source.get("orphanDependents")
    if policy is not None and orphan is not None:
        causes.append(field_invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy not in (None, BACKGROUND, FOREGROUND, ORPHAN):
        causes.append(field_not_supported("propagationPolicy", policy, InOrder((FOREGROUND, BACKGROUND, ORPHAN, "nil"))))
    dry_run = _dry_run(source.get("dryRun") or [], causes)
    _raise("DeleteOptions", causes)
    if policy is None and orphan is not None:
        policy = ORPHAN if orphan else BACKGROUND
    conditions = source.get("preconditions") or {}
    options = DeleteOptions(
        grace_period_seconds=source.get("gracePeriodSeconds"),
        propagation_policy=policy or "",
        preconditions=Preconditions(conditions.get("uid") or "", conditions.get("resourceVersion") or ""),
    )
    return options, dry_run


def manager_from_user_agent(user_agent: str) -> str:
    """The default field manager: the user agent up to its first slash, printable characters only."""
    head = user_agent.split("/", 1)[0]
    clean = head if head.isprintable() else "".join(c for c in head if c.isprintable())
    return clean[:FIELD_MANAGER_MAX_LENGTH] or "unknown"


def parse_revision(text: str) -> int | None:
    """A ``resourceVersion`` as it comes in a query: None when unset."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        quoted = text if len(text) <= 64 else text[:61] + "..."
        raise BadRequest(f'{_NO_REVISION}: "{quoted}": strconv.ParseUint: parsing "{quoted}": invalid syntax')
    value = int(text) if len(text) <= 20 else _MAX_REVISION + 1
    if value > _MAX_REVISION:
        quoted = text if len(text) <= 64 else text[:61] + "..."
        raise BadRequest(f'{_NO_REVISION}: "{quoted}": strconv.ParseUint: parsing "{quoted}": value out of range')
    return value


def boolean(query: Query, name: str) -> bool:
    """A flag of a query string: present without a value, or with any value but ``false`` and ``0``, means true."""
    if name not in query:
        return False
    return _text(query, name).lower() not in ("false", "0")


def _delete_body(body: Json) -> Mapping[str, Json]:
    """The fields of a DeleteOptions document, each checked for its type, as strict decoding into the Go type would."""
    if not isinstance(body, dict):
        raise BadRequest("the body of a delete must be a DeleteOptions object")
    if body.get("kind") not in (None, "", "DeleteOptions"):
        raise BadRequest(f"expected a DeleteOptions object as the body of a delete, got kind {str(body['kind'])[:64]!r}")
    for name, types in _DELETE_FIELDS.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            raise BadRequest(f"json: cannot unmarshal into DeleteOptions: field {name} has the wrong type")
    conditions = body.get("preconditions") or {}
    for name in ("uid", "resourceVersion"):
        if not isinstance(conditions.get(name), str | None):
            raise BadRequest(f"json: cannot unmarshal into DeleteOptions: field preconditions.{name} has the wrong type")
    return body


_DELETE_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    "dryRun": (list,),
    "gracePeriodSeconds": (int,),
    "orphanDependents": (bool,),
    "propagationPolicy": (str,),
    "preconditions": (dict,),
}


def _dry_run(values: Sequence[Json], causes: list[Cause]) -> bool:
    if any(value != "All" for value in values):
        causes.append(field_not_supported("dryRun", list(values), ("All",)))
    return bool(values)


def _check_manager(manager: str, causes: list[Cause]) -> None:
    if len(manager) > FIELD_MANAGER_MAX_LENGTH:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {FIELD_MANAGER_MAX_LENGTH} bytes", "fieldManager"))
    if not manager.isprintable():
        position, bad = next((index, c) for index, c in enumerate(manager) if not c.isprintable())
        causes.append(field_invalid("fieldManager", manager, f"invalid character U+{ord(bad):04X} (at position {position})"))


def _raise(kind: str, causes: Sequence[Cause]) -> None:
    if causes:
        raise _options_error(kind, causes)


def _options_error(kind: str, causes: Sequence[Cause]) -> Invalid:
    return invalid(kind, "meta.k8s.io", "", causes)


def _texts(query: Query, name: str) -> Sequence[str]:
    value = query.get(name, ())
    return (value,) if isinstance(value, str) else value


def _text(query: Query, name: str) -> str:
    values = _texts(query, name)
    return values[0] if values else ""


def _selector(query: Query, name: str) -> str:
    text = _text(query, name)
    if len(text) > _SELECTOR_MAX_LENGTH:
        raise BadRequest(f"{name} is longer than {_SELECTOR_MAX_LENGTH} characters")
    return text


def _integer(query: Query, name: str) -> int | None:
    text = _text(query, name)
    if not text:
        return None
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise BadRequest(f'strconv.ParseInt: parsing "{text[:64]}": invalid syntax')
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text[:64]}": value out of range')
    return value
