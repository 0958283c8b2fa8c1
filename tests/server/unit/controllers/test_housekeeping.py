# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every namespace has stays there; token Secrets are filled; definitions end with their objects; roles aggregate."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.widgets import crd, widget
from support.world import World

from kplane_server.access.attributes import Attributes
from kplane_server.model.identity import UserInfo


@pytest.fixture(params=["root", "demo"])
async def vcp(request: pytest.FixtureRequest, world: World) -> str:
    name: str = request.param
    if name != "root":
        await world.control_plane(name)
    return name


async def test_the_default_account_comes_back(world: World, vcp: str) -> None:
    before = world.read("ServiceAccount", "default", "kube-public", vcp)["metadata"]["uid"]
    await world.delete("ServiceAccount", "default", "kube-public", vcp)
    await world.settle()
    assert world.read("ServiceAccount", "default", "kube-public", vcp)["metadata"]["uid"] != before


async def test_another_account_does_not(world: World) -> None:
    await world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"}})
    await world.delete("ServiceAccount", "robot", "default")
    await world.settle()
    assert world.names("ServiceAccount", "default") == ["default"]


async def test_the_root_ca_comes_back_and_stays_what_it_is(world: World, vcp: str) -> None:
    wanted = world.read("ConfigMap", "kube-root-ca.crt", "default", vcp)["data"]
    await world.merge("ConfigMap", "kube-root-ca.crt", {"data": {"ca.crt": "another"}}, "default", vcp)
    await world.settle()
    assert world.read("ConfigMap", "kube-root-ca.crt", "default", vcp)["data"] == wanted
    await world.delete("ConfigMap", "kube-root-ca.crt", "default", vcp)
    await world.settle()
    assert world.read("ConfigMap", "kube-root-ca.crt", "default", vcp)["data"] == wanted


async def test_a_token_secret_is_filled_and_ends_with_its_account(world: World) -> None:
    await world.control_plane("demo")
    metadata = {"name": "robot-token", "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "robot"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata}
    await world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"}}, "demo")
    await world.create(secret, "demo")
    await world.settle()
    data = world.read("Secret", "robot-token", "default", "demo")["data"]
    assert base64.b64decode(data["ca.crt"]) == world.plane.ca_certificate
    found = world.directory.find("demo")
    assert found is not None
    user = found.authenticator.authenticate(f"Bearer {base64.b64decode(data['token']).decode()}")
    assert user.name == "system:serviceaccount:default:robot"
    await world.delete("ServiceAccount", "robot", "default", "demo")
    await world.settle()
    assert world.get("Secret", "robot-token", "default", "demo") is None


async def test_a_definition_ends_with_its_objects(world: World, vcp: str) -> None:
    await world.create(crd(), vcp)
    await world.create(widget("free", "default"), vcp)
    await world.create(widget("held", "kube-public", finalizers=["example.com/hold"]), vcp)
    await world.delete("CustomResourceDefinition", "widgets.example.com", vcp=vcp)
    await world.settle(lambda: world.names("Widget", vcp=vcp) == ["held"])
    conditions = world.read("CustomResourceDefinition", "widgets.example.com", vcp=vcp)["status"]["conditions"]
    assert ("Terminating", "True") in [(c["type"], c["status"]) for c in conditions]
    await world.merge("Widget", "held", {"metadata": {"finalizers": None}}, "kube-public", vcp)
    await world.settle(lambda: world.get("CustomResourceDefinition", "widgets.example.com", vcp=vcp) is None)
    await world.create(crd(), vcp)
    assert world.names("Widget", vcp=vcp) == []


async def test_a_definition_without_objects_ends_after_a_restart_too(world: World) -> None:
    await world.create(crd())
    await world.stop()
    await world.delete("CustomResourceDefinition", "widgets.example.com")
    await world.restart()
    await world.settle(lambda: world.get("CustomResourceDefinition", "widgets.example.com") is None)


def role(name: str, resource: str, **labels: str) -> dict[str, Any]:
    rules = [{"apiGroups": ["example.com"], "resources": [resource], "verbs": ["get"]}]
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


async def test_rules_are_aggregated_and_taken_away_again(world: World, vcp: str) -> None:
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    before = world.read("ClusterRole", "view", vcp=vcp)["rules"]
    assert before  # the bootstrap layer has them filled in
    await world.create(role("widget-viewer", "widgets", **label), vcp)
    await world.settle()
    added = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
    for aggregated in ("view", "edit", "admin"):  # one selects the other
        assert added in world.read("ClusterRole", aggregated, vcp=vcp)["rules"], aggregated
    await world.delete("ClusterRole", "widget-viewer", vcp=vcp)
    await world.settle()
    assert world.read("ClusterRole", "view", vcp=vcp)["rules"] == before


async def test_the_authorizer_sees_an_aggregated_rule(world: World) -> None:
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    await world.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "jane"},
            "subjects": [subject],
            "roleRef": reference,
        }
    )
    jane = UserInfo("jane", groups=("system:authenticated",))
    question = Attributes("get", "example.com", "v1", "widgets", "", "default", "w")
    assert not world.directory.root.authorizer.authorize(jane, question).allowed
    await world.create(role("widget-viewer", "widgets", **{"rbac.authorization.k8s.io/aggregate-to-view": "true"}))
    await world.settle()
    assert world.directory.root.authorizer.authorize(jane, question).allowed


async def test_events_end_after_an_hour_also_those_of_an_earlier_run(world: World) -> None:
    from kplane_server.controllers.eventexpiry import EVENT_TTL, EXPIRE

    await world.control_plane("demo")
    assert len(world.names("Event", "default")) == 1
    await world.restart()
    await world.settle()
    assert len(world.names("Event", "default")) == 1
    world.clock.now += EVENT_TTL + 1
    world.controllers.dispatcher.queue("eventexpiry").add(EXPIRE)
    await world.settle()
    assert world.names("Event", "default") == []


async def test_a_token_secret_of_an_account_that_is_not_there_goes(world: World) -> None:
    metadata = {"name": "t", "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "nobody"}}
    await world.create({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata})
    await world.settle()
    assert world.get("Secret", "t", "default") is None
