# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registrations, classes and endpoints: their status is true, and stays true."""

from __future__ import annotations

from typing import Any

from support.world import KPLANE, World


async def make(world: World, kind: str, name: str, **spec: Any) -> None:
    await world.create({"apiVersion": KPLANE, "kind": kind, "metadata": {"name": name}, "spec": spec})
    await world.settle()


async def test_a_registration_is_resolved_when_what_it_points_to_appears(world: World) -> None:
    await make(world, "ControlPlaneRegistration", "r", controlPlaneRef={"name": "demo"})
    assert world.condition("ControlPlaneRegistration", "r", "Ready") == ("False", "ControlPlaneNotFound")
    assert world.read("ControlPlaneRegistration", "r")["status"]["ready"] is False
    await world.control_plane("demo")
    status = world.read("ControlPlaneRegistration", "r")["status"]
    assert status["ready"] is True
    assert status["resolvedEndpoint"] == "https://127.0.0.1:8443/clusters/demo/control-plane"
    assert status["resolvedKubeconfigSecretRef"] == {"name": "controlplane-demo-kubeconfig", "namespace": "kplane-cp-demo"}


async def test_a_registration_follows_another_pointer_and_another_endpoint(world: World) -> None:
    await world.control_plane("a")
    await world.control_plane("b")
    await make(world, "ControlPlaneRegistration", "r", controlPlaneRef={"name": "a"}, endpointRef={"name": "edge"})
    assert world.condition("ControlPlaneRegistration", "r", "Ready") == ("False", "EndpointPending")
    await make(world, "ControlPlaneEndpoint", "edge", endpoint="https://in.example", externalEndpoint="https://out.example/x")
    assert world.read("ControlPlaneRegistration", "r")["status"]["resolvedEndpoint"] == "https://out.example/x/clusters/a/control-plane"
    await world.merge("ControlPlaneRegistration", "r", {"spec": {"controlPlaneRef": {"name": "b"}}})
    await world.settle()
    assert world.read("ControlPlaneRegistration", "r")["status"]["resolvedEndpoint"] == "https://out.example/x/clusters/b/control-plane"
    await world.merge("ControlPlaneEndpoint", "edge", {"spec": {"externalEndpoint": "https://new.example"}})
    await world.settle()
    assert world.read("ControlPlaneRegistration", "r")["status"]["resolvedEndpoint"] == "https://new.example/clusters/b/control-plane"
    await world.delete("ControlPlane", "b")
    await world.settle()
    assert world.condition("ControlPlaneRegistration", "r", "Ready") == ("False", "ControlPlaneNotFound")


async def test_a_registration_without_a_reference_says_so(world: World) -> None:
    await make(world, "ControlPlaneRegistration", "r", controlPlaneRef={})
    assert world.condition("ControlPlaneRegistration", "r", "Ready") == ("False", "ControlPlaneRefMissing")


async def test_a_class_says_what_is_not_supported(world: World) -> None:
    assert world.condition("ControlPlaneClass", "starter", "Accepted") == ("True", "Accepted")
    await make(world, "ControlPlaneClass", "c", addons=["magic"], auth={"model": "oidc"})
    assert world.condition("ControlPlaneClass", "c", "Accepted") == ("False", "NotSupported")
    await world.merge("ControlPlaneClass", "c", {"spec": {"addons": ["starter"], "auth": {"model": "basic"}}})
    await world.settle()
    assert world.condition("ControlPlaneClass", "c", "Accepted") == ("True", "Accepted")


async def test_the_status_of_an_endpoint_mirrors_its_spec(world: World) -> None:
    await make(world, "ControlPlaneEndpoint", "e")
    assert world.condition("ControlPlaneEndpoint", "e", "Accepted") == ("False", "EndpointPending")
    await world.merge("ControlPlaneEndpoint", "e", {"spec": {"endpoint": "https://one.example"}})
    await world.settle()
    assert world.read("ControlPlaneEndpoint", "e")["status"]["endpoint"] == "https://one.example"
    await world.merge("ControlPlaneEndpoint", "e", {"spec": {"endpoint": "https://two.example"}})
    await world.settle()
    assert world.read("ControlPlaneEndpoint", "e")["status"]["endpoint"] == "https://two.example"


async def test_a_status_that_a_gateway_wrote_is_left_alone_and_used(world: World) -> None:
    from kplane_server.model.identity import CONTROLLER_USER
    from kplane_server.registry.options import Patch, RequestContext

    await make(world, "ControlPlaneEndpoint", "e", endpoint="https://one.example")
    info = world.info("ControlPlaneEndpoint")
    patch = Patch("application/merge-patch+json", {"status": {"endpoint": "https://gateway.example"}})
    await world.api().patch(info, "", "e", patch, RequestContext(CONTROLLER_USER), subresource="status")
    await world.settle()
    assert world.read("ControlPlaneEndpoint", "e")["status"]["endpoint"] == "https://gateway.example"
    assert world.condition("ControlPlaneEndpoint", "e", "Accepted") == ("True", "StatusProvided")
    made = await world.control_plane("demo", {"endpointRef": {"name": "e"}})
    assert made["status"]["endpoint"] == "https://gateway.example/clusters/demo/control-plane"
