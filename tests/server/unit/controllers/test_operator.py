# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator: ControlPlanes become control planes, with conditions, credentials and events; rules of classes hold."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml
from support.world import KPLANE, World

from kplane_server.model.errors import Invalid
from kplane_server.model.identity import UserInfo
from kplane_server.vcp.contract import management_namespace

SECRET = "controlplane-{}-kubeconfig"


def files(world: World, name: str) -> dict[str, Any]:
    secret = world.read("Secret", SECRET.format(name), management_namespace(name))
    return {key: yaml.safe_load(base64.b64decode(text)) for key, text in secret["data"].items()}


def token(world: World, name: str) -> str:
    text: str = files(world, name)["kubeconfig"]["users"][0]["user"]["token"]
    return text


def owner(world: World, name: str, vcp: str | None = None) -> UserInfo:
    """Who the kubeconfig of ``name`` is, inside the control plane ``vcp``."""
    found = world.directory.find(vcp or name)
    assert found is not None
    return found.authenticator.authenticate(f"Bearer {token(world, name)}")


async def klass(world: World, name: str, **spec: Any) -> None:
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlaneClass", "metadata": {"name": name}, "spec": spec})
    await world.settle()


async def endpoint(world: World, name: str, **spec: Any) -> None:
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlaneEndpoint", "metadata": {"name": name}, "spec": spec})
    await world.settle()


async def test_a_control_plane_becomes_ready_with_everything_that_belongs_to_it(world: World) -> None:
    made = await world.control_plane("demo", {"classRef": {"name": "starter"}})
    url = "https://127.0.0.1:8443/clusters/demo/control-plane"
    assert made["metadata"]["finalizers"] == ["controlplane.kplane.dev/finalizer"]
    assert made["status"]["endpoint"] == url
    assert made["status"]["kubeconfigSecretRef"] == {"name": "controlplane-demo-kubeconfig", "namespace": "kplane-cp-demo"}
    assert made["status"]["observedGeneration"] == 1
    for kind in ("Accepted", "Programmed", "Ready"):
        assert world.condition("ControlPlane", "demo", kind)[0] == "True"
    namespace = world.read("Namespace", "kplane-cp-demo")
    assert namespace["metadata"]["labels"]["controlplane.kplane.dev/name"] == "demo"
    assert world.names("ServiceAccount", "kplane-cp-demo") == ["default"]
    assert world.names("ConfigMap", "kplane-cp-demo") == ["kube-root-ca.crt"]
    made_endpoint = world.read("ControlPlaneEndpoint", "demo-endpoint")
    assert made_endpoint["status"]["endpoint"] == url
    assert made_endpoint["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    found = files(world, "demo")
    assert set(found) == {"kubeconfig", "kubeconfig-external"}
    for config in found.values():
        assert config["current-context"] == "kplane-demo"
        assert [config[part][0]["name"] for part in ("clusters", "contexts", "users")] == ["kplane-demo"] * 3
        cluster = config["clusters"][0]["cluster"]
        assert cluster["server"] == url
        assert base64.b64decode(cluster["certificate-authority-data"]) == world.plane.ca_certificate
    assert owner(world, "demo").name == "system:serviceaccount:kplane-system:controlplane-admin"
    events = [world.read("Event", name, "default") for name in world.names("Event", "default")]
    assert [(e["reason"], e["type"], e["involvedObject"]["name"]) for e in events] == [("Ready", "Normal", "demo")]


async def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    await world.control_plane("demo")
    before = world.store.revision
    await world.restart()
    await world.settle()
    assert world.store.revision == before


async def test_the_token_is_a_stranger_in_another_control_plane(world: World) -> None:
    from kplane_server.model.errors import Unauthorized

    await world.control_plane("a")
    await world.control_plane("b")
    for other in ("b", "root"):
        with pytest.raises(Unauthorized):
            owner(world, "a", other)


async def test_a_secret_that_is_deleted_or_damaged_is_made_again(world: World) -> None:
    await world.control_plane("demo")
    first = token(world, "demo")
    await world.delete("Secret", SECRET.format("demo"), "kplane-cp-demo")
    await world.settle()
    assert token(world, "demo") != first
    await world.merge("Secret", SECRET.format("demo"), {"data": {"kubeconfig": "bm8="}}, "kplane-cp-demo")
    await world.settle()
    assert owner(world, "demo").name.endswith("controlplane-admin")


async def test_the_token_is_renewed_well_before_its_end_and_not_earlier(world: World) -> None:
    from kplane_server.controllers.operator import SWEEP

    await world.control_plane("demo")
    first = token(world, "demo")
    sweep = world.controllers.dispatcher.queue("controlplane").add
    world.clock.now += world.plane.admin_token_lifetime / 2
    sweep(SWEEP)
    await world.settle()
    assert token(world, "demo") == first
    world.clock.now += world.plane.admin_token_lifetime / 4
    sweep(SWEEP)
    await world.settle()
    assert token(world, "demo") != first
    assert owner(world, "demo").name.endswith("controlplane-admin")


@pytest.fixture
def no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if so much had happened before the stop that the events of a test are not among those seen again."""
    monkeypatch.setattr("kplane_server.controllers.dispatcher.REPLAYED_EVENTS", 0)


@pytest.mark.usefixtures("no_replay")
async def test_a_start_looks_only_at_what_is_not_settled(world: World) -> None:
    for name in ("a", "b"):
        await world.control_plane(name)
    await world.control_plane("waiting", {"endpointRef": {"name": "absent"}})
    await world.settle(lambda: world.get("ConfigMap", "kplane-operator", "kplane-system"))
    await world.stop()
    await world.merge("ControlPlane", "b", {"spec": {"deletionPolicy": "Destroy"}})
    await world.restart()
    await world.settle()
    looked_at = world.controllers.statistics()["controlplane.reconciled"]
    assert looked_at == 4  # b, waiting, the list of those retained, and whose time has come
    await endpoint(world, "absent", endpoint="https://edge.example")
    assert world.condition("ControlPlane", "waiting", "Ready")[0] == "True"
    assert world.read("ControlPlane", "b")["status"]["observedGeneration"] == 2


@pytest.mark.usefixtures("no_replay")
async def test_a_new_address_of_the_server_reaches_endpoint_status_and_kubeconfig(world: World) -> None:
    await world.control_plane("demo")
    old = token(world, "demo")
    await world.restart(base_url="https://10.0.0.1:9443", port=9443)
    await world.settle()
    url = "https://10.0.0.1:9443/clusters/demo/control-plane"
    assert world.read("ControlPlane", "demo")["status"]["endpoint"] == url
    assert world.read("ControlPlaneEndpoint", "demo-endpoint")["status"]["endpoint"] == url
    assert files(world, "demo")["kubeconfig"]["clusters"][0]["cluster"]["server"] == url
    found = world.directory.find("demo")
    assert found is not None
    assert found.authenticator.authenticate(f"Bearer {old}").name.endswith("controlplane-admin")


@pytest.mark.parametrize(
    ("spec", "rules", "condition", "reason"),
    [
        ({"classRef": {"name": "absent"}}, None, "Accepted", "ClassNotFound"),
        ({"mode": "Dedicated"}, None, "Accepted", "ModeNotSupported"),
        ({"classRef": {"name": "c"}}, {"modesAllowed": ["Dedicated"]}, "Accepted", "ModeNotAllowed"),
        ({"classRef": {"name": "c"}}, {"addons": ["no name"]}, "Accepted", "ClassNotSupported"),
        ({"classRef": {"name": "c"}}, {"auth": {"model": "oidc"}}, "Accepted", "ClassNotSupported"),
        ({"classRef": {"name": "c"}}, {"auth": {"defaultRole": "no-such-role"}}, "Accepted", "DefaultRoleNotFound"),
        ({"endpointRef": {"name": "absent"}}, None, "Programmed", "EndpointPending"),
    ],
)
async def test_what_is_refused_says_why(
    world: World, spec: dict[str, Any], rules: dict[str, Any] | None, condition: str, reason: str
) -> None:
    if rules is not None:
        await klass(world, "c", **rules)
    await world.control_plane("demo", spec)
    assert world.condition("ControlPlane", "demo", condition) == ("False", reason)
    assert world.condition("ControlPlane", "demo", "Ready") == ("False", reason)
    assert world.directory.find("demo") is None
    events = [world.read("Event", name, "default") for name in world.names("Event", "default")]
    assert [(e["reason"], e["type"]) for e in events if e["involvedObject"]["name"] == "demo"] == [(reason, "Warning")]
    await world.delete("ControlPlane", "demo")
    await world.settle()
    assert world.get("ControlPlane", "demo") is None


async def test_a_class_or_endpoint_that_comes_later_is_noticed(world: World) -> None:
    await world.control_plane("demo", {"classRef": {"name": "late"}, "endpointRef": {"name": "edge"}})
    await klass(world, "late")
    assert world.condition("ControlPlane", "demo", "Ready") == ("False", "EndpointPending")
    await endpoint(world, "edge", endpoint="https://edge.example:443/api")
    assert world.condition("ControlPlane", "demo", "Ready")[0] == "True"
    assert world.read("ControlPlane", "demo")["status"]["endpoint"] == "https://edge.example:443/api/clusters/demo/control-plane"
    assert world.get("ControlPlaneEndpoint", "demo-endpoint") is None


async def test_what_works_goes_on_when_the_class_goes_away(world: World) -> None:
    await klass(world, "c")
    made = await world.control_plane("demo", {"classRef": {"name": "c"}})
    await world.delete("ControlPlaneClass", "c")
    await world.settle()
    now = world.read("ControlPlane", "demo")
    assert world.condition("ControlPlane", "demo", "Accepted") == ("False", "ClassNotFound")
    assert world.condition("ControlPlane", "demo", "Ready")[0] == "True"
    assert now["status"]["endpoint"] == made["status"]["endpoint"]
    assert now["status"]["kubeconfigSecretRef"] == made["status"]["kubeconfigSecretRef"]


@pytest.mark.parametrize(
    "path", ["/clusters/root/control-plane", "/clusters/other/control-plane", "/control-plane", "/a/../b", "/%63lusters/x"]
)
async def test_an_endpoint_that_names_another_control_plane_is_refused(world: World, path: str) -> None:
    await endpoint(world, "edge", endpoint=f"https://edge.example{path}")
    await world.control_plane("demo", {"endpointRef": {"name": "edge"}})
    status, reason = world.condition("ControlPlane", "demo", "Programmed")
    assert (status, reason) in (("False", "ForeignClusterPath"), ("False", "InvalidEndpoint"))
    assert world.directory.find("demo") is None


async def test_an_endpoint_with_this_very_path_is_taken_as_it_is(world: World) -> None:
    await endpoint(world, "edge", endpoint="https://in.example/clusters/demo/control-plane/", externalEndpoint="https://out.example")
    made = await world.control_plane("demo", {"endpointRef": {"name": "edge"}})
    assert made["status"]["endpoint"] == "https://out.example/clusters/demo/control-plane"
    servers = {key: config["clusters"][0]["cluster"]["server"] for key, config in files(world, "demo").items()}
    assert servers == {
        "kubeconfig": "https://in.example/clusters/demo/control-plane",
        "kubeconfig-external": "https://out.example/clusters/demo/control-plane",
    }


async def test_only_what_changed_is_written_after_an_edit_of_the_endpoint(world: World) -> None:
    await endpoint(world, "edge", endpoint="https://in.example", externalEndpoint="https://out.example")
    await world.control_plane("demo", {"endpointRef": {"name": "edge"}})
    await world.control_plane("other")
    secret = world.read("Secret", SECRET.format("demo"), "kplane-cp-demo")
    await world.merge("ControlPlaneEndpoint", "edge", {"spec": {"joinEndpoint": "https://join.example"}})
    await world.settle()
    assert world.read("Secret", SECRET.format("demo"), "kplane-cp-demo") == secret
    other = world.read("ControlPlane", "other")
    await world.merge("ControlPlaneEndpoint", "edge", {"spec": {"externalEndpoint": "https://new.example"}})
    await world.settle()
    assert world.read("ControlPlane", "demo")["status"]["endpoint"] == "https://new.example/clusters/demo/control-plane"
    assert world.read("ControlPlane", "other") == other


async def test_the_default_role_of_the_class_is_what_the_owner_gets(world: World) -> None:
    from kplane_server.access.attributes import Attributes

    await klass(world, "readers", auth={"defaultRole": "view"})
    await world.control_plane("demo", {"classRef": {"name": "readers"}})
    found = world.directory.find("demo")
    assert found is not None

    def allowed(verb: str) -> bool:
        assert found is not None
        return found.authorizer.authorize(owner(world, "demo"), Attributes(verb, "", "v1", "configmaps", "", "default", "x")).allowed

    assert allowed("get")
    assert not allowed("create")
    await world.merge("ControlPlaneClass", "readers", {"spec": {"auth": {"defaultRole": "admin"}}})
    await world.settle()
    assert allowed("create")


async def test_an_owners_account_that_was_deleted_is_made_again_with_a_new_token(world: World) -> None:
    await world.control_plane("demo")
    first = token(world, "demo")
    await world.delete("ServiceAccount", "controlplane-admin", "kplane-system", vcp="demo")
    await world.restart()
    await world.settle()
    assert token(world, "demo") != first
    assert owner(world, "demo").name.endswith("controlplane-admin")


async def test_two_with_one_path(world: World) -> None:
    await world.control_plane("a", {"virtual": {"clusterPath": "shared"}})
    with pytest.raises(Invalid, match="clusterPath: Duplicate value"):
        await world.control_plane("b", {"virtual": {"clusterPath": "shared"}})
    with pytest.raises(Invalid, match="Duplicate value"):
        await world.control_plane("shared")


async def test_a_race_for_one_path_has_one_winner_and_the_loser_follows_when_it_is_free(world: World) -> None:
    await world.stop()  # both are admitted before the operator sees either
    for name in ("a", "b"):
        await world.create(
            {"apiVersion": KPLANE, "kind": "ControlPlane", "metadata": {"name": name}, "spec": {"virtual": {"clusterPath": "shared"}}}
        )
    await world.restart()
    await world.settle(lambda: world.condition("ControlPlane", "b", "Ready")[1])
    verdicts = {name: world.condition("ControlPlane", name, "Ready") for name in ("a", "b")}
    assert sorted(verdicts.values()) == [("False", "ClusterPathConflict"), ("True", "Reconciled")]
    winner, loser = sorted(verdicts, key=lambda name: verdicts[name][0], reverse=True)
    uid = world.read("ControlPlane", winner)["metadata"]["uid"]
    found = world.directory.find("shared")
    assert found is not None
    assert found.record.uid == uid
    await world.merge("ControlPlane", winner, {"spec": {"deletionPolicy": "Destroy"}})
    await world.delete("ControlPlane", winner)
    await world.settle(lambda: world.condition("ControlPlane", loser, "Ready")[0] == "True")


@pytest.mark.parametrize("name", ["root", "clusters"])
async def test_reserved_names_are_refused(world: World, name: str) -> None:
    with pytest.raises(Invalid, match="reserved"):
        await world.control_plane(name)
    with pytest.raises(Invalid, match="reserved"):
        await world.control_plane("x", {"virtual": {"clusterPath": name}})


async def test_a_foreign_namespace_is_not_taken_over(world: World) -> None:
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kplane-cp-demo"}})
    await world.control_plane("demo")
    assert world.condition("ControlPlane", "demo", "Programmed") == ("False", "NamespaceConflict")
    await world.delete("ControlPlane", "demo")
    await world.settle()
    assert world.get("ControlPlane", "demo") is None
    assert world.get("Namespace", "kplane-cp-demo") is not None


async def test_a_management_namespace_that_was_deleted_comes_back(world: World) -> None:
    await world.control_plane("demo")
    before = world.read("Namespace", "kplane-cp-demo")["metadata"]["uid"]
    await world.delete("Namespace", "kplane-cp-demo")
    await world.settle(lambda: world.get("Secret", SECRET.format("demo"), "kplane-cp-demo") is not None)
    assert world.read("Namespace", "kplane-cp-demo")["metadata"]["uid"] != before
    assert world.condition("ControlPlane", "demo", "Ready")[0] == "True"
