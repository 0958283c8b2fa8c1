# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a class installs into its control planes."""

from __future__ import annotations

from support.client import eventually
from support.planes_of_root import condition, create_plane, events, make_class, make_plane, status, wait_condition
from support.server import Server, unique

MANIFESTS = """
apiVersion: example.dev/v1
kind: Gadget
metadata: {name: first, namespace: shop}
spec: {size: 3}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
"""
MAP = "/api/v1/namespaces/default/configmaps/settings"


def put_addon(server: Server, name: str, text: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"manifests": text}}
    server.root.apply(f"/api/v1/namespaces/kplane-system/configmaps/{name}", body, force=True).ok()


def test_addons_are_applied_and_follow_their_changes(server: Server) -> None:
    addon, klass, name = unique("addon"), unique("class"), unique()
    put_addon(server, addon, MANIFESTS)
    make_class(server, klass, addons=["starter", addon])
    client = make_plane(server, name, klass)
    wait_condition(server, name, "Seeded", "Applied")
    assert client.get("/apis/example.dev/v1/namespaces/shop/gadgets/first").ok()["spec"] == {"size": 3}
    found = client.get(MAP).ok()
    assert found["data"] == {"color": "blue"}
    assert [(entry["manager"], entry["operation"]) for entry in found["metadata"]["managedFields"]] == [("kplane", "Apply")]
    first = status(server, name)["seed"]
    client.patch(MAP, {"data": {"own": "mine"}}).ok()
    put_addon(server, addon, MANIFESTS.replace("blue", "green"))
    eventually(lambda: client.get(MAP).ok()["data"] == {"color": "green", "own": "mine"}, 5, "the change is applied")
    eventually(lambda: status(server, name)["seed"] != first, 5)
    assert len(events(server, name, "Seeded")) >= 1
    server.delete_vcp(name)


def test_an_unchanged_addon_is_not_applied_again(server: Server) -> None:
    addon, klass, name = unique("addon"), unique("class"), unique()
    put_addon(server, addon, MANIFESTS)
    make_class(server, klass, addons=[addon])
    client = make_plane(server, name, klass)
    wait_condition(server, name, "Seeded", "Applied")
    client.delete(MAP).ok()
    server.root.patch(f"/apis/controlplane.kplane.dev/v1alpha1/controlplaneclasses/{klass}", {"metadata": {"labels": {"a": "b"}}}).ok()
    other = unique()
    make_plane(server, other, klass)
    wait_condition(server, other, "Seeded", "Applied")
    assert client.get(MAP).code == 404
    for one in (name, other):
        server.delete_vcp(one)


def test_what_cannot_be_applied_is_told_and_mended_later(server: Server) -> None:
    addon, klass, name = unique("addon"), unique("class"), unique()
    make_class(server, klass, addons=[addon])
    create_plane(server, name, klass)
    missing = wait_condition(server, name, "Seeded", "AddonNotFound")
    assert missing["message"] == f'ConfigMap "kplane-system/{addon}" does not exist'
    assert condition(server, name, "Ready")["status"] == "True", "it is served all the same"
    put_addon(server, addon, "a: [")
    wait_condition(server, name, "Seeded", "AddonInvalid")
    put_addon(server, addon, "{apiVersion: v1, kind: Thing, metadata: {name: x}}")
    assert 'no kind "Thing"' in wait_condition(server, name, "Seeded", "SeedFailed")["message"]
    put_addon(server, addon, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}")
    wait_condition(server, name, "Seeded", "Applied")
    server.delete_vcp(name)


def test_starter_is_what_every_control_plane_has(server: Server) -> None:
    name = unique()
    client = make_plane(server, name)
    assert condition(server, name, "Seeded") == {}
    assert client.get("/api/v1/namespaces/kplane-system").code == 200
    server.delete_vcp(name)
