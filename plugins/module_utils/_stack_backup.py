# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup of a stack: etcd at one revision, the keys of the management plane, and the objects that the operator works on.

What can be made again is left out: certificates that the authorities of the backup sign, what the operator writes, leased keys of etcd.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import ssl
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _stack, _stack_held, _stack_objects, _stack_secrets
from ansible_collections.kplane.core.plugins.module_utils._auth import load_client_certificate
from ansible_collections.kplane.core.plugins.module_utils._backup_file import STACK, Writer
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    API_GROUP,
    API_VERSION,
    CA_SECRET,
    CONTROL_PLANE_CLASSES,
    CONTROL_PLANE_ENDPOINTS,
    CONTROL_PLANES,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    SECRETS,
    Resource,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound
from ansible_collections.kplane.core.plugins.module_utils._etcd import Etcd, Socket
from ansible_collections.kplane.core.plugins.module_utils._portforward import TlsSocket, Tunnel
from ansible_collections.kplane.core.plugins.module_utils._wait import condition

Json = t.Dict[str, t.Any]

REGISTRATIONS: t.Final = Resource(API_GROUP, API_VERSION, "controlplaneregistrations", "ControlPlaneRegistration")
#: What the operator works on, in the order in which it is put back.
RESOURCES: t.Final = (CONTROL_PLANE_CLASSES, CONTROL_PLANE_ENDPOINTS, CONTROL_PLANES, REGISTRATIONS)
#: The Secrets that cannot be made again; the others follow from them.
KEPT_SECRETS: t.Final = (CA_SECRET, _stack_secrets.SIGNING_SECRET, _stack_secrets.TOKEN_SECRET)
#: The files of an archive.
OBJECTS_FILE: t.Final = "objects.json"
SECRETS_FILE: t.Final = "secrets.json"
ETCD_FILE: t.Final = "etcd.jsonl"
FILES: t.Final = (OBJECTS_FILE, SECRETS_FILE, ETCD_FILE)

ETCD_PORT: t.Final = 2379
#: A name that every certificate of etcd has.
_ETCD_NAME: t.Final = "localhost"
_PER_CHUNK: t.Final = 500
_TRANSIENT: t.Final = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences", "finalizers"}
)


class Site(t.NamedTuple):
    """A stack as it is found in its cluster."""

    client: Client
    namespace: str
    timeout: float
    inventory: _stack.Inventory
    #: What the tokens of service accounts name as their issuer, and where the API server keeps its objects in etcd.
    issuer: str
    prefix: bytes

    def selector(self, component: str) -> str:
        """Selects what belongs to a component."""
        return f"app.kubernetes.io/part-of=kplane,{_stack_objects.COMPONENT_LABEL}={component}"

    def deployment(self, component: str) -> Json:
        """The Deployment of a component."""
        found = self.client.list_all(_stack_objects.DEPLOYMENTS, self.namespace, label_selector=self.selector(component))[0]
        if len(found) != 1:
            raise KplaneError(
                f"The namespace {self.namespace} has {len(found)} Deployments of the component {component}, it should have one"
            )
        return found[0]

    def connect(self) -> Socket:
        """A connection to etcd, through a pod of it."""
        pods = self.client.list_all(_stack_objects.PODS, self.namespace, label_selector=self.selector("etcd"))[0]
        ready = sorted(pod["metadata"]["name"] for pod in pods if condition(pod, "Ready").get("status") == "True")
        if not ready:
            raise KplaneError(f"No pod of etcd is ready in the namespace {self.namespace} ({len(pods)} are there)")
        return TlsSocket(Tunnel(self.client, self.namespace, ready[0], ETCD_PORT, self.timeout), self._context(), _ETCD_NAME)

    def _context(self) -> ssl.SSLContext:
        held = _stack_held.decode(self.client.get(SECRETS, _stack_secrets.ETCD_CLIENT_SECRET, self.namespace)).data
        context = ssl.create_default_context(cadata=held["ca.crt"])
        load_client_certificate(context, held["tls.crt"].encode(), held["tls.key"].encode())
        return context


def find(client: Client, namespace: str, timeout: float) -> Site:
    """The stack in a cluster; an error if there is none, or if it is not whole."""
    inventory = _stack.read_inventory(client, namespace)
    if not inventory.complete:
        state = "has no stack of kplane.core" if inventory == _stack.NOTHING else "has a stack whose last run did not come to its end"
        raise KplaneError(f"The namespace {namespace} of {client.server} {state}: run the playbook kplane.core.up first")
    site = Site(client, namespace, timeout, inventory, "", b"")
    arguments = site.deployment("apiserver")["spec"]["template"]["spec"]["containers"][0].get("args") or []
    prefix = (_argument(arguments, "--etcd-prefix") or "/registry").rstrip("/") + "/"
    return site._replace(issuer=_argument(arguments, "--service-account-issuer"), prefix=prefix.encode())


def _argument(arguments: t.Sequence[str], name: str) -> str:
    """The value of a flag of a program; that of the last one, as the program sees it too."""
    values = [text.partition("=")[2] for text in arguments if text.startswith(name + "=")]
    return values[-1] if values else ""


def objects(site: Site) -> dict[str, list[Json]]:
    """What the operator works on, by its plural name; what every run of the playbook applies anyway is not among it."""
    found = {}
    for resource in RESOURCES:
        try:
            items = site.client.list_all(resource)[0]
        except NotFound:
            items = []
        found[resource.plural] = [bare(item, resource) for item in items if not _applied(item)]
    return found


def _applied(item: Json) -> bool:
    return bool((item["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == FIELD_MANAGER) and item.get("kind") == "ControlPlaneClass"


def bare(item: Json, resource: Resource) -> Json:
    """What was declared of an object, without what a server or a controller added."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _TRANSIENT}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": item.get("spec") or {}}


def check(site: Site) -> Json:
    """See that everything can be read; what a backup would hold."""
    with Etcd(site.connect) as etcd:
        keys, revision = etcd.count(site.prefix)
    _secrets(site)
    return {"keys": keys, "revision": revision, "vcps": len(objects(site)[CONTROL_PLANES.plural])}


def back_up(site: Site, path: str, about: Json) -> Json:
    """Write the backup; its manifest.

    The objects are read before etcd: every control plane that is in the file has its data in it.
    """
    held = objects(site)
    secrets = _secrets(site)
    with Writer(path) as writer:
        writer.add(OBJECTS_FILE, [json.dumps(held, sort_keys=True).encode()])
        writer.add(SECRETS_FILE, [json.dumps(secrets, sort_keys=True).encode()])
        with Etcd(site.connect) as etcd:
            revision = etcd.count(site.prefix)[1]
            counter = _Counter()
            writer.add(ETCD_FILE, counter.lines(etcd, site.prefix, revision))
        return writer.finish(
            {
                "content": STACK,
                **about,
                "namespace": site.namespace,
                "version": site.inventory.version,
                "images": site.inventory.images,
                "issuer": site.issuer,
                "prefix": site.prefix.decode(),
                "revision": revision,
                "keys": counter.count,
                "vcps": len(held[CONTROL_PLANES.plural]),
            }
        )


def _secrets(site: Site) -> Json:
    found = {}
    for name in KEPT_SECRETS:
        secret = site.client.get(SECRETS, name, site.namespace)
        found[name] = {"data": secret.get("data") or {}, "annotations": secret["metadata"].get("annotations") or {}}
    return found


class _Counter:
    """The lines of etcd's file, counted as they go by."""

    def __init__(self) -> None:
        self.count = 0

    def lines(self, etcd: Etcd, prefix: bytes, revision: int) -> t.Iterator[bytes]:
        """Several lines at a time."""
        lines: list[str] = []
        for pair in etcd.pairs(prefix, revision):
            lines.append(json.dumps(pair) + "\n")
            self.count += 1
            if len(lines) == _PER_CHUNK:
                yield "".join(lines).encode()
                lines = []
        yield "".join(lines).encode()
