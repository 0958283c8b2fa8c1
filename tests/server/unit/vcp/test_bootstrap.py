# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bootstrap layer: complete, valid by the rules of the API itself, and pure."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from support.world import ADMIN, World

from kplane_server.model.keys import ROOT_VCP_ID, ResourceId, VcpId
from kplane_server.registry import codec
from kplane_server.registry.options import RequestContext
from kplane_server.storage.api import VcpRecord, VcpState
from kplane_server.vcp.bootstrap import NAMESPACES, BootstrapLayer, default_cluster_roles
from kplane_server.vcp.plane import ManagementPlane

PLANE = ManagementPlane("https://[::1]:8443", 8443, b"-----BEGIN CERTIFICATE-----\nTEST\n", b"secret", advertise_address="::1")
LAYER = BootstrapLayer(PLANE)
RECORD = VcpRecord(VcpId(7), "demo", "3d0f3b0c-94a5-4b4e-8d3f-3f1f6a5c1e55", 1_700_000_000, 42, VcpState.ACTIVE)
ROOT = dataclasses.replace(RECORD, id=ROOT_VCP_ID, name="root")


def everything(record: VcpRecord) -> dict[tuple[str, str, str], bytes]:
    found: dict[tuple[str, str, str], bytes] = {}
    for resource in LAYER.resources(record):
        for namespace, name in LAYER.names(record, resource):
            value = LAYER.get(record, resource, namespace, name)
            assert value is not None
            found[resource, namespace, name] = value
    return found


@pytest.mark.parametrize("record", [RECORD, ROOT], ids=["vcp", "root"])
def test_every_object_is_whole(record: VcpRecord) -> None:
    objects = everything(record)
    uids = set()
    for (_, namespace, name), value in objects.items():
        assert re.search(rb"@[a-z0-9-]+@", value) is None, value
        assert b'"metadata":{"resourceVersion":"42"' in value  # where the codec splices it
        document = json.loads(value)
        metadata = document["metadata"]
        assert (metadata.get("namespace", ""), metadata["name"]) == (namespace, name)
        assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
        uids.add(metadata["uid"])
    assert len(uids) == len(objects)


@pytest.mark.parametrize("record", [RECORD, ROOT], ids=["vcp", "root"])
def test_names_are_sorted_and_what_is_not_named_is_not_there(record: VcpRecord) -> None:
    for resource in LAYER.resources(record):
        names = list(LAYER.names(record, resource))
        assert names == sorted(names)
    assert LAYER.get(record, ResourceId("configmaps"), "default", "absent") is None
    assert LAYER.get(record, ResourceId("pods"), "default", "absent") is None
    assert LAYER.names(record, ResourceId("pods")) == ()


def test_the_same_record_gives_the_same_bytes_and_another_one_other_identities() -> None:
    assert everything(RECORD) == {key: value for key, value in everything(dataclasses.replace(RECORD)).items()}
    again = BootstrapLayer(PLANE)
    assert all(again.get(RECORD, ResourceId(r), ns, n) == value for (r, ns, n), value in everything(RECORD).items())
    other = dataclasses.replace(RECORD, uid="another")
    ours, theirs = everything(RECORD), everything(other)
    assert all(json.loads(ours[key])["metadata"]["uid"] != json.loads(theirs[key])["metadata"]["uid"] for key in ours)


def test_what_upstream_starts_with_is_there() -> None:
    objects = everything(RECORD)
    for namespace in NAMESPACES:
        assert ("namespaces", "", namespace) in objects
        assert ("serviceaccounts", namespace, "default") in objects
        assert json.loads(objects["configmaps", namespace, "kube-root-ca.crt"])["data"]["ca.crt"] == PLANE.ca_certificate.decode()
    assert ("configmaps", "kube-system", "extension-apiserver-authentication") in objects
    tracking = json.loads(objects["configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking"])
    assert tracking["data"] == {"since": "2023-11-14"}
    slice_ = json.loads(objects["endpointslices.discovery.k8s.io", "default", "kubernetes"])
    assert (slice_["addressType"], slice_["endpoints"][0]["addresses"]) == ("IPv6", ["::1"])
    assert ("servicecidrs.networking.k8s.io", "", "kubernetes") in objects
    assert {"cluster-admin", "admin", "edit", "view", "system:node"} <= default_cluster_roles()


def test_the_url_of_each_is_its_own() -> None:
    info = json.loads(everything(RECORD)["configmaps", "kube-public", "cluster-info"])["data"]["kubeconfig"]
    assert "server: https://[::1]:8443/clusters/demo/control-plane\n" in info
    info = json.loads(everything(ROOT)["configmaps", "kube-public", "cluster-info"])["data"]["kubeconfig"]
    assert "server: https://[::1]:8443\n" in info


def test_what_is_roots_alone() -> None:
    ours, roots = everything(RECORD), everything(ROOT)
    assert not [key for key in ours if "kplane.dev" in key[0] or "kplane.dev" in key[2]]
    assert ("serviceaccounts", "kplane-system", "controlplane-admin") not in roots
    assert ("clusterrolebindings.rbac.authorization.k8s.io", "", "controlplane-admin") not in roots
    assert json.loads(roots["configmaps", "kplane-system", "kplane-management"])["data"] == {"ingressPort": "8443"}
    assert ("controlplaneclasses.controlplane.kplane.dev", "", "starter") in roots


@pytest.mark.parametrize("vcp", ["root", "demo"])
async def test_every_object_passes_the_api_unchanged(vcp: str) -> None:
    world = World()
    if vcp != "root":
        await world.directory.create(vcp, "uid-of-demo")
    api = world.api(vcp)
    count = 0
    for resource in world.store.resources_in(api.vcp.id):
        info = api.resources.by_storage(resource)
        assert info is not None, resource
        for item in api.list(info).items:
            document = codec.decode(item.value)
            ctx = RequestContext(ADMIN, dry_run=True, field_validation="Strict")
            written = await api.update(info, item.key.namespace, item.key.name, codec.decode(item.value), ctx)
            after = codec.decode(written.stored.value)
            after["metadata"].pop("managedFields", None)
            assert after == document
            assert [text for text in ctx.warnings if "deprecated" not in text] == []
            count += 1
    assert count > 150
