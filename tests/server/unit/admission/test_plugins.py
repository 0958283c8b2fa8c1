# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-ins and the chain they are in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from kplane_server.admission.chain import Chain, default_chain
from kplane_server.admission.plugin import Plugin
from kplane_server.model.errors import Forbidden, NotFound
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.options import RequestContext


class World:
    """A look-up over a plain dictionary."""

    def __init__(self, *documents: tuple[str, Any]) -> None:
        self._documents = {(resource, d["metadata"].get("namespace", ""), d["metadata"]["name"]): d for resource, d in documents}

    def get(self, resource: ResourceId, namespace: str, name: str) -> Any:
        return self._documents.get((resource, namespace, name))

    def exists(self, resource: ResourceId, namespace: str, name: str) -> bool:
        return self.get(resource, namespace, name) is not None

    def list(self, resource: ResourceId, namespace: str | None = None, *, named: Callable[[str], bool] | None = None) -> Iterable[Any]:
        found = [(name, d) for (r, n, name), d in self._documents.items() if r == resource and namespace in (None, n)]
        return [d for name, d in found if named is None or named(name)]

    def count(self, resource: ResourceId, namespace: str | None = None) -> int:
        return len(list(self.list(resource, namespace)))

    def changed(self, resource: ResourceId) -> int:
        return 1


NAMESPACE = ("namespaces", {"metadata": {"name": "ns"}})
ACCOUNT = ("serviceaccounts", {"metadata": {"namespace": "ns", "name": "default"}})


def attributes(
    resource: str, obj: Any, *world: tuple[str, Any], operation: Operation = Operation.CREATE, name: str = "x", group: str = ""
) -> Attributes:
    info = BUILTIN.find(group, "v1", resource)
    assert info is not None
    namespace = "ns" if info.namespaced else ""
    lookup = World(*(world or (NAMESPACE, ACCOUNT)))
    return Attributes(operation, ROOT_VCP_ID, info, namespace, name, obj, None, RequestContext(CONTROLLER_USER), lookup)


def pod(**spec: Any) -> Any:
    return {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


async def run(attributes: Attributes) -> Any:
    chain = default_chain()
    if chain.mutates(attributes):
        await chain.admit(attributes)
    await chain.validate(attributes)
    return attributes.object


async def test_nothing_new_without_a_namespace() -> None:
    with pytest.raises(NotFound, match='namespaces "ns" not found'):
        await run(attributes("configmaps", {"metadata": {"name": "x"}}, ACCOUNT))


async def test_nothing_new_in_a_namespace_that_goes() -> None:
    leaving = ("namespaces", {"metadata": {"name": "ns", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    with pytest.raises(Forbidden, match='configmaps "x" is forbidden: unable to create new content in namespace ns because') as caught:
        await run(attributes("configmaps", {"metadata": {"name": "x"}}, leaving))
    assert caught.value.causes[0][:2] == ("NamespaceTerminating", "namespace ns is being terminated")


async def test_updates_and_deletions_in_it_go_on() -> None:
    for operation in (Operation.UPDATE, Operation.DELETE):
        await run(attributes("configmaps", {"metadata": {"name": "x"}}, ACCOUNT, operation=operation))


async def test_a_pod_gets_an_account_a_token_a_priority_and_tolerations() -> None:
    made = (await run(attributes("pods", pod())))["spec"]
    assert (made["serviceAccountName"], made["serviceAccount"]) == ("default", "default")
    (volume,) = made["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(s)) for s in volume["projected"]["sources"]] == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert made["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    assert (made["priority"], made["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert [t["key"] for t in made["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]


@pytest.mark.parametrize("where", ["pod", "account"])
async def test_no_token_for_those_who_do_not_want_one(where: str) -> None:
    account: Any = {"metadata": {"namespace": "ns", "name": "default"}, "imagePullSecrets": [{"name": "s"}]}
    if where == "account":
        account["automountServiceAccountToken"] = False
    spec = {"automountServiceAccountToken": False} if where == "pod" else {}
    made = (await run(attributes("pods", pod(**spec), NAMESPACE, ("serviceaccounts", account))))["spec"]
    assert "volumes" not in made
    assert made["imagePullSecrets"] == [{"name": "s"}]


async def test_the_pods_word_beats_the_accounts() -> None:
    account = {"metadata": {"namespace": "ns", "name": "default"}, "automountServiceAccountToken": False}
    made = await run(attributes("pods", pod(automountServiceAccountToken=True), NAMESPACE, ("serviceaccounts", account)))
    assert made["spec"]["volumes"]


async def test_an_account_must_be_there() -> None:
    with pytest.raises(Forbidden, match='error looking up service account ns/me: serviceaccount "me" not found'):
        await run(attributes("pods", pod(serviceAccountName="me")))


def priority_class(name: str, value: int, **fields: Any) -> tuple[str, Any]:
    return ("priorityclasses.scheduling.k8s.io", {"metadata": {"name": name}, "value": value, **fields})


async def test_priority() -> None:
    world = (NAMESPACE, ACCOUNT, priority_class("high", 100, preemptionPolicy="Never"), priority_class("usual", 5, globalDefault=True))
    made = (await run(attributes("pods", pod(priorityClassName="high"), *world)))["spec"]
    assert (made["priority"], made["preemptionPolicy"]) == (100, "Never")
    made = (await run(attributes("pods", pod(), *world)))["spec"]
    assert (made["priority"], made["priorityClassName"]) == (5, "usual")
    with pytest.raises(Forbidden, match="no PriorityClass with name none was found"):
        await run(attributes("pods", pod(priorityClassName="none"), *world))
    with pytest.raises(Forbidden, match=r"the integer value of priority \(7\) must not be provided in pod spec"):
        await run(attributes("pods", pod(priorityClassName="high", priority=7), *world))
    with pytest.raises(Forbidden, match="the string value of PreemptionPolicy"):
        await run(attributes("pods", pod(priorityClassName="high", preemptionPolicy="PreemptLowerPriority"), *world))


async def test_one_default_class() -> None:
    world = (priority_class("usual", 5, globalDefault=True),)
    other = {"metadata": {"name": "other"}, "value": 1, "globalDefault": True}
    with pytest.raises(Forbidden, match="PriorityClass usual is already marked as default"):
        await run(attributes("priorityclasses", other, *world, group="scheduling.k8s.io"))
    await run(attributes("priorityclasses", {**other, "metadata": {"name": "usual"}}, *world, group="scheduling.k8s.io"))
    await run(attributes("priorityclasses", {**other, "globalDefault": False}, *world, group="scheduling.k8s.io"))


async def test_a_toleration_of_ones_own_stays() -> None:
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    made = (await run(attributes("pods", pod(tolerations=[mine]))))["spec"]
    assert made["tolerations"][0] == mine
    assert [t["key"] for t in made["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    everything = {"operator": "Exists"}
    assert (await run(attributes("pods", pod(tolerations=[everything]))))["spec"]["tolerations"] == [everything]


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_namespaces_that_stay(name: str) -> None:
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await run(attributes("namespaces", None, operation=Operation.DELETE, name=name))
    await run(attributes("namespaces", None, operation=Operation.DELETE, name="other"))


class Recorder(Plugin):
    """Notes when it is asked; answers at once or later."""

    def __init__(self, log: list[str], name: str, later: bool) -> None:
        self._log, self.name, self._later = log, name, later

    def concerns(self, attributes: Attributes) -> bool:
        return True

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        return self._note("admit")

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        return self._note("validate")

    def _note(self, step: str) -> Awaitable[None] | None:
        async def later() -> None:
            self._log.append(f"{step} {self.name}")

        if self._later:
            return later()
        self._log.append(f"{step} {self.name}")
        return None


async def test_the_order_is_fixed() -> None:
    log: list[str] = []
    chain = Chain([Recorder(log, "a", True), Recorder(log, "b", False), Recorder(log, "c", True)])
    judged = attributes("configmaps", {"metadata": {"name": "x"}})
    assert chain.mutates(judged)
    await chain.admit(judged)
    await chain.validate(judged)
    assert log == ["admit a", "admit b", "admit c", "validate a", "validate b", "validate c"]
