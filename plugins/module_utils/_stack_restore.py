# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore of a stack: operator and API server go down, etcd and the keys become those of the backup, then ``up`` brings both back.

A ConfigMap says that a restore has begun. While it does not say that it is complete, nothing but the same restore goes on.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _stack_backup, _stack_objects
from ansible_collections.kplane.core.plugins.module_utils._backup_file import FORCE_HINT, Archive
from ansible_collections.kplane.core.plugins.module_utils._client import APPLY_PATCH, Client
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    CONFIG_MAPS,
    CONTROL_PLANES,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    SECRETS,
    Resource,
    vcp_namespace,
    vcp_secret,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, Invalid, KplaneError, NotFound, WaitTimeout
from ansible_collections.kplane.core.plugins.module_utils._etcd import Etcd, Pair, advance
from ansible_collections.kplane.core.plugins.module_utils._stack_backup import Site

Json = t.Dict[str, t.Any]

MARKER: t.Final = "kplane-core-restore"
#: Each revision that is taken costs a write: more than this would take too long.
MAX_STEPS: t.Final = 200_000
#: The workloads that must not see etcd while it changes, in the order in which they go down.
_DOWN: t.Final = ("operator", "apiserver")
_POLL = 0.25


class Marker(t.NamedTuple):
    """What the cluster knows of a restore."""

    backup: str
    complete: bool


def read_marker(client: Client, namespace: str) -> Marker | None:
    """The last restore of this stack."""
    try:
        data = client.get(CONFIG_MAPS, MARKER, namespace).get("data") or {}
    except NotFound:
        return None
    return Marker(str(data.get("backup") or ""), data.get("complete") == "true")


def require_none_begun(client: Client, namespace: str) -> None:
    """Refuse to touch a stack whose restore did not come to its end."""
    marker = read_marker(client, namespace)
    if marker is not None and not marker.complete:
        raise KplaneError(
            f"Nothing was changed: a restore of the stack in the namespace {namespace} was begun and did not come to its end. "
            "Run the playbook kplane.core.restore again, with the same file"
        )


def _our_metadata(site: Site, name: str) -> Json:
    return {"name": name, "namespace": site.namespace, "labels": {MANAGED_BY_LABEL: FIELD_MANAGER, "app.kubernetes.io/part-of": "kplane"}}


def _write_marker(site: Site, backup: str, complete: bool) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _our_metadata(site, MARKER),
        "data": {"backup": backup, "complete": "true" if complete else "false"},
    }
    site.client.patch(CONFIG_MAPS, MARKER, body, site.namespace, APPLY_PATCH, force=True)


def needed(site: Site, archive: Archive, force: bool) -> bool:
    """Whether there is something to do; an error if it would do harm. Reads only."""
    about = archive.manifest
    for what, ours in (("namespace", site.namespace), ("issuer", site.issuer), ("prefix", site.prefix.decode())):
        if about.get(what) != ours:
            raise KplaneError(
                f"The stack of the backup has the {what} {about.get(what)!r}, this one has {ours!r}: tokens and data of the one would mean "
                "nothing to the other. Bring this stack up with the same value first"
            )
    older = _stack_objects.downgrades(about.get("images") or {}, site.inventory.images)
    if older:
        raise KplaneError(f"The stack is older than the one of the backup ({'; '.join(older)}): bring it up with those images first")
    marker = read_marker(site.client, site.namespace)
    if marker is not None and marker.backup == about["id"] and not (marker.complete and force):
        return not marker.complete
    if force:
        return True
    if marker is not None and not marker.complete:
        raise KplaneError("A restore of another backup was begun and did not come to its end. Restore that one, or set force to true")
    planes = len(site.client.list_all(CONTROL_PLANES)[0])
    if planes:
        raise KplaneError(
            f"The management plane has {planes} virtual control planes, which the restore would replace: nothing was changed. {FORCE_HINT}"
        )
    return True


def restore(site: Site, archive: Archive) -> bool:
    """Do it. What an earlier run has done of it may be done again. Whether revisions go on above those of the backup."""
    about = archive.manifest
    _write_marker(site, about["id"], complete=False)
    for component in _DOWN:
        _scale_down(site, component)
    with Etcd(site.connect) as etcd:
        etcd.clear(site.prefix)
        etcd.compact(etcd.count(site.prefix)[1])  # else the old and the new together could be more than etcd may hold
        written = etcd.put(Pair(*line) for line in archive.lines(_stack_backup.ETCD_FILE))
        count, revision = etcd.count(site.prefix)
        if count != written:
            raise KplaneError(f"etcd has {count} keys after {written} were written: something else writes to it")
        ahead = revision > int(about["revision"])
        if not ahead and int(about["revision"]) - revision <= MAX_STEPS:
            advance(site.connect, int(about["revision"]) + 1)
            ahead = True
        etcd.compact(etcd.count(site.prefix)[1])  # who goes on with a watch from before has to list again
    for name, secret in archive.document(_stack_backup.SECRETS_FILE).items():
        _put_secret(site, name, secret)
    _put_objects(site, archive.document(_stack_backup.OBJECTS_FILE))
    _write_marker(site, about["id"], complete=True)
    return ahead


def _scale_down(site: Site, component: str) -> None:
    """No pod of a component is left when this returns."""
    deployment = site.deployment(component)
    body = {"spec": {"replicas": 0}}
    if deployment["spec"].get("replicas", 1):
        site.client.patch(_stack_objects.DEPLOYMENTS, deployment["metadata"]["name"], body, site.namespace)
    deadline = time.monotonic() + site.timeout
    while True:
        try:
            pods = site.client.list_all(_stack_objects.PODS, site.namespace, label_selector=site.selector(component))[0]
            if not pods:
                return
        except ConnectionFailed:
            pods = []  # the API server of the cluster may be away for a moment; the deadline bounds this
        if time.monotonic() >= deadline:
            names = ", ".join(sorted(pod["metadata"]["name"] for pod in pods)) or "they cannot be listed"
            raise WaitTimeout(f"The pods of the component {component} did not end within {site.timeout:g} seconds: {names}")
        time.sleep(_POLL)


def _put_secret(site: Site, name: str, kept: Json) -> None:
    """A Secret as it was, by the same kind of write that ``up`` uses: keys that it did not have then go."""
    live = site.client.get(SECRETS, name, site.namespace)
    if live.get("data") == kept["data"] and (live["metadata"].get("annotations") or {}) == kept["annotations"]:
        return
    metadata = {**_our_metadata(site, name), "annotations": kept["annotations"]}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": live["type"], "data": kept["data"]}
    site.client.patch(SECRETS, name, body, site.namespace, APPLY_PATCH, force=True)


def _put_objects(site: Site, kept: dict[str, list[Json]]) -> None:
    """The objects of the operator as they were; others of their kinds go."""
    present = _stack_backup.objects(site)
    for resource in _stack_backup.RESOURCES:
        wanted = {item["metadata"]["name"]: item for item in kept.get(resource.plural) or []}
        there = {item["metadata"]["name"]: item for item in present[resource.plural]}
        settle = functools.partial(_settle, site, resource, wanted, there)
        for done in run_all(settle, sorted(set(there) | set(wanted))):
            if isinstance(done, KplaneError):
                raise done


def _settle(site: Site, resource: Resource, wanted: dict[str, Json], there: dict[str, Json], name: str) -> None:
    """One object as it was."""
    if name not in wanted:
        _remove(site, resource, name)
        return
    if there.get(name) != wanted[name]:
        _put(site, resource, wanted[name], name in there)
    if resource == CONTROL_PLANES and name in there:
        # Its kubeconfig may be of a service account that is no more; the operator fills it again.
        _gone(site.client, SECRETS, vcp_secret(name), vcp_namespace(name))


def _put(site: Site, resource: Resource, item: Json, there: bool) -> None:
    name = item["metadata"]["name"]
    if there:
        live = site.client.get(resource, name)
        body = {**item, "metadata": {**item["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
        for field in ("finalizers", "ownerReferences"):
            if live["metadata"].get(field):
                body["metadata"][field] = live["metadata"][field]
        try:
            site.client.request("PUT", resource.path(name), {"fieldManager": FIELD_MANAGER}, body)
            return
        except Invalid:  # made anew since, with other values of fields that do not change
            _remove(site, resource, name)
    site.client.create(resource, item)


def _remove(site: Site, resource: Resource, name: str) -> None:
    """Delete an object whose operator is down: it cannot clean up, and what it would clean up is gone."""
    try:
        site.client.patch(resource, name, {"metadata": {"finalizers": None}})
    except NotFound:
        return
    _gone(site.client, resource, name)
    if resource == CONTROL_PLANES:
        _gone(site.client, _stack_objects.NAMESPACES, vcp_namespace(name))
    deadline = time.monotonic() + site.timeout
    while True:
        try:
            site.client.get(resource, name)
        except NotFound:
            return
        if time.monotonic() >= deadline:
            raise WaitTimeout(f"{resource.kind} {name} is still being deleted after {site.timeout:g} seconds")
        time.sleep(_POLL)


def _gone(client: Client, resource: Resource, name: str, namespace: str = "") -> None:
    with contextlib.suppress(NotFound):
        client.delete(resource, name, namespace)
