# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual control planes as declared, as found, and the way from one to the other; many at once.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import typing as t
from datetime import datetime, timezone

from ansible_collections.kplane.core.plugins.module_utils import _contract
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._concurrency import DEFAULT_WORKERS, run_all
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANE_ENDPOINTS, CONTROL_PLANES
from ansible_collections.kplane.core.plugins.module_utils._diff import patch_for, select
from ansible_collections.kplane.core.plugins.module_utils._errors import AlreadyExists, KplaneError, NotFound, WaitFailed
from ansible_collections.kplane.core.plugins.module_utils._wait import Verdict, condition, describe, wait_for

#: Up to this many objects are read one by one; more of them by one list of all.
_LIST_FROM = 8
#: The reason of a VCP that waits for a choice about data that an earlier one of its name has left.
_RETAINED: t.Final = "RetainedDataExists"
#: Reasons of Ready=False that only another declaration can change.
_TERMINAL_REASONS: t.Final = frozenset({"InvalidClusterPath", "ClassNotFound", "ModeNotSupported", "ModeNotAllowed", _RETAINED})
REATTACH_ANNOTATION: t.Final = "controlplane.kplane.dev/reattach"

Addresses = t.Callable[[str], t.Tuple[str, str]]


class Declared(t.NamedTuple):
    """What the user said about one VCP; ``None`` means that nothing was said."""

    name: str
    class_name: str | None = None
    endpoint: str | None = None
    external_endpoint: str | None = None
    deletion_policy: str | None = None
    cluster_path: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    reattach: str | None = None

    def control_plane(self) -> Json:
        """The fields of the ControlPlane that were declared and may change."""
        spec: Json = {}
        if self.class_name is not None:
            spec["classRef"] = {"name": self.class_name}
        if self.deletion_policy is not None:
            spec["deletionPolicy"] = self.deletion_policy
        fields: Json = {"metadata": self._metadata(), "spec": spec}
        return {key: value for key, value in fields.items() if value}

    def _metadata(self) -> Json:
        found: Json = {}
        if self.labels:
            found["labels"] = dict(self.labels)
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found

    def address(self) -> Json:
        """The fields of the ControlPlaneEndpoint that were declared."""
        spec: Json = {}
        if self.endpoint is not None:
            spec["endpoint"] = self.endpoint
            spec["externalEndpoint"] = self.external_endpoint if self.external_endpoint is not None else self.endpoint
        elif self.external_endpoint is not None:
            spec["externalEndpoint"] = self.external_endpoint
        return {"spec": spec} if spec else {}


class World(t.NamedTuple):
    """The VCPs and endpoints that are there."""

    control_planes: dict[str, Json]
    endpoints: dict[str, Json]


class Step(t.NamedTuple):
    """What has to be done for one VCP, and what it will look like in a diff."""

    name: str
    action: str
    create_endpoint: Json | None = None
    patch_endpoint: Json | None = None
    create: Json | None = None
    patch: Json | None = None
    delete_uid: str = ""
    delete_endpoint: bool = False
    drift: tuple[Json, ...] = ()
    before: Json | None = None
    after: Json | None = None

    @property
    def changes(self) -> bool:
        """Whether anything has to be written."""
        return bool(self.create_endpoint or self.patch_endpoint or self.create or self.patch or self.delete_uid or self.delete_endpoint)


EMPTY_WORLD: t.Final = World({}, {})


def read_world(client: Client, names: t.Sequence[str], workers: int = DEFAULT_WORKERS) -> World:
    """The ControlPlanes and endpoints of ``names``: two lists for many, single reads for a few."""
    if len(names) >= _LIST_FROM:
        wanted = set(names)
        planes, endpoints = _results(
            run_all(lambda resource: client.list_all(resource)[0], [CONTROL_PLANES, CONTROL_PLANE_ENDPOINTS], workers)
        )
        return World(
            {item["metadata"]["name"]: item for item in planes if item["metadata"]["name"] in wanted},
            {item["metadata"]["name"]: item for item in endpoints},
        )
    reads = [(CONTROL_PLANES, name) for name in names] + [(CONTROL_PLANE_ENDPOINTS, _contract.endpoint_name(name)) for name in names]
    found = _results(run_all(lambda read: _get(client, *read), reads, workers))
    here = {(resource.kind, name): obj for (resource, name), obj in zip(reads, found) if obj is not None}
    return World(
        {name: obj for (kind, name), obj in here.items() if kind == CONTROL_PLANES.kind},
        {name: obj for (kind, name), obj in here.items() if kind == CONTROL_PLANE_ENDPOINTS.kind},
    )


def _get(client: Client, resource: _contract.Resource, name: str) -> Json | None:
    try:
        return client.get(resource, name)
    except NotFound:
        return None


def _results(results: t.Sequence[t.Any | KplaneError]) -> list[t.Any]:
    for result in results:
        if isinstance(result, KplaneError):
            raise result
    return list(results)


# Planning


def plan_present(declared: Declared, world: World, addresses: Addresses) -> Step:
    """What makes the VCP as it was declared."""
    name = declared.name
    live = world.control_planes.get(name)
    endpoint = world.endpoints.get(_contract.endpoint_name(name))
    create_endpoint = _new_endpoint(declared, addresses) if endpoint is None else None
    patch_endpoint = (patch_for(endpoint, declared.address()) or None) if endpoint is not None else None
    if live is None:
        body = _new_control_plane(declared)
        after = _view(body, create_endpoint or endpoint)
        return Step(name, "created", create_endpoint, patch_endpoint, create=body, before=None, after=after)
    wanted = declared.control_plane()
    if declared.reattach is not None and condition(live, "Ready").get("reason") == _RETAINED:
        # It waits for this choice; once it has been made, the annotation means nothing more.
        wanted.setdefault("metadata", {}).setdefault("annotations", {})[REATTACH_ANNOTATION] = declared.reattach
    patch = patch_for(live, wanted) or None
    drift = tuple(_drift(declared, live))
    if not (patch or create_endpoint or patch_endpoint):
        return Step(name, "unchanged", drift=drift)
    before: Json = {}
    after = {}
    for key, part, obj in (("control_plane", patch, live), ("endpoint", patch_endpoint, endpoint)):
        if part:
            before[key], after[key] = select(obj, part), part
    if create_endpoint:
        after["endpoint"] = {"spec": create_endpoint["spec"]}
    return Step(name, "updated", create_endpoint, patch_endpoint, patch=patch, drift=drift, before=before, after=after)


def plan_absent(declared: Declared, world: World) -> Step:
    """What takes the VCP away."""
    name = declared.name
    live = world.control_planes.get(name)
    endpoint = world.endpoints.get(_contract.endpoint_name(name))
    if live is None:
        if endpoint is None:
            return Step(name, "unchanged")
        return Step(name, "deleted", delete_endpoint=True, before={"endpoint": {"spec": endpoint.get("spec")}})
    policy = Declared(name, deletion_policy=declared.deletion_policy).control_plane()
    return Step(
        name,
        "deleted",
        patch=patch_for(live, policy) or None,
        delete_uid=live["metadata"]["uid"],
        delete_endpoint=endpoint is not None,
        before=_view(live, endpoint),
    )


def _new_endpoint(declared: Declared, addresses: Addresses) -> Json:
    metadata: Json = {"name": _contract.endpoint_name(declared.name), "labels": {_contract.MANAGED_BY_LABEL: _contract.FIELD_MANAGER}}
    spec = dict(declared.address().get("spec") or {})
    if "endpoint" not in spec:
        internal, external = addresses(declared.cluster_path or declared.name)
        spec = {"endpoint": internal, "externalEndpoint": external, **spec}
        metadata["annotations"] = {_contract.DEFAULT_ENDPOINT_ANNOTATION: "true"}
    return {"apiVersion": _contract.GROUP_VERSION, "kind": CONTROL_PLANE_ENDPOINTS.kind, "metadata": metadata, "spec": spec}


def _new_control_plane(declared: Declared) -> Json:
    labels = {
        _contract.MANAGED_BY_LABEL: _contract.FIELD_MANAGER,
        **{key: value for key, value in (declared.labels or {}).items() if value is not None},
    }
    annotations = {key: value for key, value in (declared.annotations or {}).items() if value is not None}
    if declared.reattach is not None:
        annotations[REATTACH_ANNOTATION] = declared.reattach
    metadata: Json = {"name": declared.name, "labels": labels}
    if annotations:
        metadata["annotations"] = annotations
    spec: Json = {
        "classRef": {"name": declared.class_name if declared.class_name is not None else _contract.DEFAULT_CLASS},
        "endpointRef": {"name": _contract.endpoint_name(declared.name)},
        "mode": "Virtual",
        "virtual": {"clusterPath": declared.cluster_path or declared.name},
    }
    if declared.deletion_policy is not None:
        spec["deletionPolicy"] = declared.deletion_policy
    return {"apiVersion": _contract.GROUP_VERSION, "kind": CONTROL_PLANES.kind, "metadata": metadata, "spec": spec}


def _drift(declared: Declared, live: Json) -> t.Iterator[Json]:
    path = ((live.get("spec") or {}).get("virtual") or {}).get("clusterPath") or declared.name
    if declared.cluster_path is not None and declared.cluster_path != path:
        yield {"option": "cluster_path", "found": path, "declared": declared.cluster_path}


def _view(control_plane: Json, endpoint: Json | None) -> Json:
    metadata = control_plane.get("metadata") or {}
    view: Json = {"control_plane": {"spec": control_plane.get("spec")}}
    for key in ("labels", "annotations"):
        if metadata.get(key):
            view["control_plane"].setdefault("metadata", {})[key] = metadata[key]
    if endpoint is not None:
        view["endpoint"] = {"spec": endpoint.get("spec")}
    return view


# Doing


def apply(client: Client, step: Step, dry_run: bool = False) -> Json | None:
    """Write what ``step`` says; the ControlPlane as the server has it then, if it was written."""
    if step.create_endpoint is not None:
        with contextlib.suppress(AlreadyExists):  # somebody else made it since we looked; the next run compares with it
            client.create(CONTROL_PLANE_ENDPOINTS, step.create_endpoint, dry_run=dry_run)
    if step.patch_endpoint:
        client.patch(CONTROL_PLANE_ENDPOINTS, _contract.endpoint_name(step.name), step.patch_endpoint, dry_run=dry_run)
    if step.create is not None:
        return client.create(CONTROL_PLANES, step.create, dry_run=dry_run)
    written = client.patch(CONTROL_PLANES, step.name, step.patch, dry_run=dry_run) if step.patch else None
    if step.delete_uid:
        try:
            client.delete(CONTROL_PLANES, step.name, uid=step.delete_uid, dry_run=dry_run)
        except NotFound:
            return None
    return written


def delete_endpoint(client: Client, step: Step, dry_run: bool = False) -> None:
    """Take the endpoint of a deleted VCP away."""
    with contextlib.suppress(NotFound):
        client.delete(CONTROL_PLANE_ENDPOINTS, _contract.endpoint_name(step.name), dry_run=dry_run)


def readiness(name: str, obj: Json | None) -> Verdict:
    """Whether a VCP serves its API: true, not yet, or an error if that cannot come any more."""
    if obj is None:
        return WaitFailed(f"{name} was deleted while it was waited for")
    generation = (obj.get("metadata") or {}).get("generation") or 0
    observed = (obj.get("status") or {}).get("observedGeneration")
    if observed is not None and observed < generation:
        return None
    accepted, ready = condition(obj, "Accepted"), condition(obj, "Ready")
    for entry in (accepted, ready):
        if entry.get("observedGeneration") is not None and entry["observedGeneration"] < generation:
            return None
    if ready.get("status") == "True":
        return True
    if accepted.get("status") == "False" or ready.get("reason") in _TERMINAL_REASONS:
        return WaitFailed(f"{name} cannot become ready. {describe(obj)}")
    return None


def gone(uids: t.Mapping[str, str]) -> t.Callable[[str, Json | None], Verdict]:
    """Whether the VCP of that uid is away; another one of its name may be there already."""

    def check(name: str, obj: Json | None) -> Verdict:
        return obj is None or (obj.get("metadata") or {}).get("uid") != uids[name]

    return check


def wait_ready(
    client: Client, names: t.Sequence[str], timeout: float, chosen: t.Container[str] = ()
) -> tuple[dict[str, Json | None], dict[str, KplaneError]]:
    """Wait until every VCP is ready. For ``chosen`` it has been said what becomes of data that was left."""

    def check(name: str, obj: Json | None) -> Verdict:
        verdict = readiness(name, obj)
        # That choice is an annotation, so no generation tells whether the operator has seen it.
        return None if name in chosen and condition(obj, "Ready").get("reason") == _RETAINED else verdict

    outcome = wait_for(client, CONTROL_PLANES, names, check, timeout, "ready")
    return outcome.objects, outcome.errors


def wait_gone(client: Client, uids: t.Mapping[str, str], timeout: float) -> dict[str, KplaneError]:
    """Wait until none of the VCPs, given as names and uids, is left."""
    return wait_for(client, CONTROL_PLANES, uids, gone(uids), timeout, "deleted").errors


# Results


def endpoint_of(obj: Json) -> str:
    """The name of the ControlPlaneEndpoint that a VCP refers to."""
    return str(((obj.get("spec") or {}).get("endpointRef") or {}).get("name") or "")


def summary(obj: Json, endpoint: Json | None = None) -> Json:
    """A VCP as modules return it."""
    metadata, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("status") or {}
    ready = condition(obj, "Ready")
    address = (endpoint or {}).get("spec") or {}
    created = str(metadata.get("creationTimestamp") or "")
    name = str(metadata.get("name") or "")
    return {
        "name": name,
        "class": (spec.get("classRef") or {}).get("name") or "",
        "mode": spec.get("mode") or "Virtual",
        "ready": ready.get("status") == "True",
        "reason": ready.get("reason") or "",
        "message": ready.get("message") or "",
        "deleting": bool(metadata.get("deletionTimestamp")),
        "deletion_policy": spec.get("deletionPolicy") or "",
        "cluster_path": (spec.get("virtual") or {}).get("clusterPath") or name,
        "endpoint": status.get("endpoint") or address.get("endpoint") or "",
        "external_endpoint": address.get("externalEndpoint") or "",
        "context": _contract.vcp_context(name),
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "uid": metadata.get("uid") or "",
        "created": created,
        "age_seconds": age(created),
        "age": human(age(created)),
    }


def age(timestamp: str) -> int:
    """Whole seconds since an RFC 3339 time of the API server."""
    try:
        then = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0
    return max(0, int((datetime.now(timezone.utc) - then).total_seconds()))


def human(seconds: int) -> str:
    """A duration as kubectl shows it: its one or two largest units."""
    for size, unit, next_size, next_unit, limit in ((86400, "d", 3600, "h", 8), (3600, "h", 60, "m", 8), (60, "m", 1, "s", 10)):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            rest //= next_size
            return f"{count}{unit}{rest}{next_unit}" if count < limit and rest else f"{count}{unit}"
    return f"{seconds}s"
