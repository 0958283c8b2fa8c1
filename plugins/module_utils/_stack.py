# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying the stack: server-side, in order, each part waited for; what is no longer declared goes.

The inventory (a ConfigMap) knows every object that was ever begun, so that a run that died is completed by the next one.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import typing as t
import uuid

from ansible_collections.kplane.core.plugins.module_utils import _stack_held, _stack_objects, _stack_secrets, _stack_wait
from ansible_collections.kplane.core.plugins.module_utils._client import APPLY_PATCH, Client, Json
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    CONFIG_MAPS,
    CONTROL_PLANES,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    SECRETS,
    STACK_CONFIG_MAP,
    Resource,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import ApiError, KplaneError, NotFound
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Rotation
from ansible_collections.kplane.core.plugins.module_utils._stack_objects import NAMESPACES, Object

#: Kinds with state of their own: they go with their namespace, never because a manifest is gone.
_KEPT: t.Final = frozenset({"Namespace", "CustomResourceDefinition"})


class Inventory(t.NamedTuple):
    """What was applied, and which versions."""

    objects: list[Json]
    images: dict[str, str]
    version: str
    complete: bool
    rotation: Rotation = Rotation()

    def body(self, namespace: str) -> Json:
        """The ConfigMap."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": STACK_CONFIG_MAP,
                "namespace": namespace,
                "labels": {MANAGED_BY_LABEL: FIELD_MANAGER, "app.kubernetes.io/part-of": "kplane"},
            },
            "data": {
                "objects": json.dumps(self.objects, sort_keys=True, separators=(",", ":")),
                "images": json.dumps(self.images, sort_keys=True),
                "version": self.version,
                "complete": json.dumps(self.complete),
                **({"rotation": json.dumps([self.rotation.name, *self.rotation.what])} if self.rotation.name else {}),
            },
        }


NOTHING: t.Final = Inventory([], {}, "", False)


class Action(t.NamedTuple):
    """What became of one object."""

    key: str
    action: str


class Plan(t.NamedTuple):
    """A whole run: what is declared, and how to go about it."""

    namespace: str
    objects: list[Object]
    secrets: _stack_secrets.Outcome
    rotation: Rotation = Rotation()
    version: str = ""
    dry_run: bool = False
    wait: bool = True
    wait_timeout: float = 300.0


def read_inventory(client: Client, namespace: str) -> Inventory:
    """What earlier runs applied."""
    data = (_get(client, CONFIG_MAPS, STACK_CONFIG_MAP, namespace) or {}).get("data") or {}
    if not data:
        return NOTHING
    try:
        rotation = json.loads(data.get("rotation") or "[]")
        return Inventory(
            json.loads(data.get("objects") or "[]"),
            json.loads(data.get("images") or "{}"),
            str(data.get("version") or ""),
            json.loads(data.get("complete") or "false"),
            Rotation(rotation[0], tuple(rotation[1:])) if rotation else Rotation(),
        )
    except ValueError as exc:
        raise KplaneError(f"The ConfigMap {namespace}/{STACK_CONFIG_MAP}, our inventory, is malformed: {exc}") from exc


def rotation_of(before: Inventory, asked: t.Iterable[str]) -> Rotation:
    """The rotation of this run: what is asked for, or what an interrupted run did not bring to its end, or both as one."""
    what = tuple(sorted({*before.rotation.what, *asked}))
    return Rotation(before.rotation.name or uuid.uuid4().hex[:12], what) if what else Rotation()


def in_force(client: Client, objects: t.Iterable[Object], before: Inventory) -> dict[str, str]:
    """The image of each component that its data was last used by; an interrupted run may have gone further than the inventory says."""
    found = dict(before.images)
    workloads = [obj for obj in objects if obj.workload and obj.component in _stack_objects.COMPONENTS]
    for obj, live in zip(workloads, run_all(lambda obj: _get(client, obj.resource, obj.name, obj.namespace), workloads)):
        if isinstance(live, KplaneError):
            raise live
        if live is not None and _stack_wait.ran(live):
            image = str(live["spec"]["template"]["spec"]["containers"][0]["image"])
            if not _stack_objects.downgrades(found, {obj.component: image}):
                found[obj.component] = image
    return found


def read_secrets(client: Client, namespace: str) -> dict[str, _stack_held.Held]:
    """Our Secrets that are there."""
    found = run_all(lambda name: _get(client, SECRETS, name, namespace), list(_stack_secrets.NAMES))
    held = {}
    for name, entry in zip(_stack_secrets.NAMES, found):
        if isinstance(entry, KplaneError):
            raise entry
        if entry is not None:
            held[name] = _stack_held.decode(entry)
    return held


def _get(client: Client, resource: Resource, name: str, namespace: str = "") -> Json | None:
    try:
        return client.get(resource, name, namespace)
    except NotFound:
        return None


class Stack:
    """One run on one cluster."""

    def __init__(self, client: Client, plan: Plan, before: Inventory) -> None:
        self.client = client
        self.plan = plan
        self.before = before
        self.remembered = before
        self.actions: list[Action] = []

    def run(self) -> list[Action]:
        """Bring everything in; what happened to each object."""
        plan = self.plan
        configs = {obj.name: obj for obj in plan.objects if obj.resource.kind == CONFIG_MAPS.kind}

        def digests(kind: str, name: str, keys: frozenset[str] | None) -> str:
            if kind == "Secret" and name in plan.secrets.held:
                return _stack_held.checksum(plan.secrets.held[name], keys)
            return _stack_objects.config_digest(configs[name], keys) if kind == "ConfigMap" and name in configs else ""

        objects = [_stack_objects.with_checksums(obj, digests) for obj in plan.objects]
        for number in sorted({_stack_objects.phase(obj) for obj in objects}):
            here = [obj for obj in objects if _stack_objects.phase(obj) == number]
            self._apply(here)
            if here[0].resource == NAMESPACES:
                self._remember(complete=False)
                self._secrets()
            if plan.wait and not plan.dry_run:
                _stack_wait.wait_serving(self.client, here, plan.wait_timeout)
        self._prune(objects)
        self._remember(complete=True)
        return self.actions

    def _apply(self, objects: t.Sequence[Object]) -> None:
        for obj, done in zip(objects, run_all(self._apply_one, objects)):
            if isinstance(done, ApiError):
                done.message = f"{obj.key} was refused: {done.message}"
            if isinstance(done, KplaneError):
                raise done
            self.actions.append(Action(obj.key, done))

    def _apply_one(self, obj: Object) -> str:
        return self._put(obj.resource, obj.name, obj.namespace, obj.body)

    def _put(self, resource: Resource, name: str, namespace: str, body: Json) -> str:
        """Server-side apply of one object; whether that made a difference is what the server says."""
        live = _get(self.client, resource, name, namespace)
        try:
            # What this collection applies is its own: changes by others to these fields are taken back.
            after = self.client.patch(resource, name, body, namespace, APPLY_PATCH, dry_run=self.plan.dry_run, force=True)
        except NotFound:
            if not self.plan.dry_run:
                raise
            return "created"  # in check mode its namespace or its definition is not there yet
        if live is None:
            return "created"
        return "unchanged" if _same(live, after) else "updated"

    def _secrets(self) -> None:
        """Secrets are written only if they differ: a run that changes nothing sends no key over the network."""
        for name in self.plan.secrets.reasons:
            body = _stack_held.encode(name, self.plan.namespace, self.plan.secrets.held[name])
            self.actions.append(Action(f"v1/Secret/{self.plan.namespace}/{name}", self._put(SECRETS, name, self.plan.namespace, body)))

    def _remember(self, complete: bool) -> None:
        references = [obj.reference() for obj in self.plan.objects]
        versions = _stack_objects.images(self.plan.objects)
        if not complete:
            if not self._differs(references):
                return
            references += [entry for entry in self.before.objects if entry not in references]
            versions = self.before.images  # until they serve, the ones before are in force
        # Where the Secrets need another pass, that one has to come to its end too.
        whole = complete and not self.plan.secrets.more
        version = self.plan.version if complete else self.before.version
        inventory = Inventory(references, versions, version, whole, Rotation() if whole else self.plan.rotation)
        if inventory == self.remembered:
            return
        done = self._put(CONFIG_MAPS, STACK_CONFIG_MAP, self.plan.namespace, inventory.body(self.plan.namespace))
        self.actions.append(Action(f"v1/ConfigMap/{self.plan.namespace}/{STACK_CONFIG_MAP}", done))
        self.remembered = inventory

    def _differs(self, references: list[Json]) -> bool:
        """Whether this run begins something that a later one would have to complete."""
        known = all(entry in self.before.objects for entry in references) and self.before.version == self.plan.version
        renewed = bool(self.plan.rotation.name or self.plan.secrets.reasons)
        return renewed or not known or self.before.images != _stack_objects.images(self.plan.objects)

    def _prune(self, objects: t.Sequence[Object]) -> None:
        declared = [obj.reference() for obj in objects]
        for entry in reversed(self.before.objects):
            if entry not in declared and entry["kind"] not in _KEPT and delete(self.client, entry, self.plan.dry_run):
                self.actions.append(Action(_key(entry), "deleted"))


def _same(live: Json, after: Json) -> bool:
    """Whether an apply changed nothing: versions say nothing, because controllers write a status, and a dry run has none of its own."""
    return _bare(live) == _bare(after)


def _bare(obj: Json) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("managedFields", "resourceVersion", "generation")}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _key(entry: Json) -> str:
    return "/".join(part for part in (entry["apiVersion"], entry["kind"], entry["namespace"], entry["name"]) if part)


def delete(client: Client, entry: Json, dry_run: bool = False) -> bool:
    """Delete an object of the inventory if it is there and still ours."""
    resource = _stack_objects.KINDS.get((entry["apiVersion"], entry["kind"]))
    if resource is None:
        raise KplaneError(f"The inventory has {_key(entry)}, a kind that this release does not know")
    live = _get(client, resource, entry["name"], entry["namespace"])
    if live is None or not ours(live):
        return False
    if not live["metadata"].get("deletionTimestamp"):
        client.delete(resource, entry["name"], entry["namespace"], uid=live["metadata"]["uid"], dry_run=dry_run)
    return True


def begun(client: Client, namespace: str) -> bool:
    """Whether anything of a stack is there: its namespace is the first that comes and the last that goes."""
    found = _get(client, NAMESPACES, namespace)
    return found is not None and ours(found)


def ours(obj: Json) -> bool:
    """Whether this collection applied an object."""
    return (obj["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == FIELD_MANAGER


def remove(client: Client, namespace: str, timeout: float) -> list[str]:
    """Take everything away that was applied, virtual control planes first, while the operator can still clean up after them.

    The namespace with the inventory goes last, so that a run that was interrupted is completed by the next one.
    """
    inventory = read_inventory(client, namespace)
    try:
        planes = client.list_all(CONTROL_PLANES)[0]
    except NotFound:
        planes = []
    for plane in planes:
        client.delete(CONTROL_PLANES, plane["metadata"]["name"], uid=plane["metadata"]["uid"])
    if planes:
        _stack_wait.wait_planes_gone(client, [plane["metadata"]["name"] for plane in planes], timeout)
    home = {"apiVersion": NAMESPACES.api_version, "kind": NAMESPACES.kind, "namespace": "", "name": namespace}
    rest = sorted((entry for entry in inventory.objects if entry != home), key=lambda entry: entry["kind"] in _KEPT)
    gone = [_key(entry) for entry in rest if delete(client, entry)]
    _stack_wait.wait_gone(client, rest, timeout)
    if delete(client, home):
        gone.append(_key(home))
    _stack_wait.wait_gone(client, [home], timeout)
    if _get(client, NAMESPACES, namespace) is not None:  # somebody made it their own: only what is ours in it goes
        for resource, names in ((SECRETS, _stack_secrets.NAMES), (CONFIG_MAPS, (STACK_CONFIG_MAP,))):
            for name in names:
                delete(client, {"apiVersion": "v1", "kind": resource.kind, "namespace": namespace, "name": name})
    return gone
