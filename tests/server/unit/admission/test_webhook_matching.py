# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and selectors of webhooks, in the cases that upstream's own tests are about."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.admission.webhook_matching import EXEMPT, Matcher, Rule
from kplane_server.model.errors import NotFound
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.options import RequestContext
from kplane_server.registry.strategies.base import Document, NoLookup


class Namespaces(NoLookup):
    """Namespaces with labels."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self._labels = labels

    def get(self, resource: ResourceId, namespace: str, name: str) -> Document | None:
        return {"metadata": {"name": name, "labels": self._labels[name]}} if name in self._labels else None


def request(
    resource: str = "pods",
    group: str = "",
    version: str = "v1",
    *,
    operation: Operation = Operation.CREATE,
    subresource: str = "",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    old: dict[str, str] | None = None,
    lookup: Any = None,
) -> Attributes:
    info = BUILTIN.find(group, version, resource)
    assert info is not None
    return Attributes(
        operation,
        ROOT_VCP_ID,
        info,
        namespace if info.namespaced else "",
        "name",
        None if operation is Operation.DELETE else {"metadata": {"labels": labels or {}}},
        None if operation is Operation.CREATE else {"metadata": {"labels": old or {}}},
        RequestContext(UserInfo("me")),
        lookup or Namespaces(default={"team": "a"}),
        subresource,
    )


def rule(**fields: Any) -> Rule:
    return Rule.of({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], **fields})


@pytest.mark.parametrize(
    ("fields", "attributes", "matches"),
    [
        ({}, request(), True),
        ({}, request(subresource="status", operation=Operation.UPDATE), False),
        ({"resources": ["*/*"]}, request(subresource="status"), True),
        ({"resources": ["*/*"]}, request(), True),
        ({"resources": ["pods/*"]}, request(), True),
        ({"resources": ["pods/*"]}, request(subresource="log"), True),
        ({"resources": ["pods/status"]}, request(subresource="status"), True),
        ({"resources": ["pods/status"]}, request(), False),
        ({"resources": ["*/scale"]}, request("deployments", "apps", subresource="scale"), True),
        ({"resources": ["*/scale"]}, request("deployments", "apps", subresource="status"), False),
        ({"resources": ["services"]}, request(), False),
        ({"apiGroups": [""]}, request(), True),
        ({"apiGroups": [""]}, request("deployments", "apps"), False),
        ({"apiVersions": ["v2"]}, request(), False),
        ({"operations": ["DELETE"]}, request(), False),
        ({"operations": ["DELETE", "CREATE"]}, request(), True),
        ({"scope": "Namespaced"}, request(), True),
        ({"scope": "Cluster"}, request(), False),
        ({"scope": "Cluster"}, request("nodes"), True),
        ({"scope": "Namespaced"}, request("nodes"), False),
        ({"scope": "Cluster"}, request("namespaces"), True),
        ({"scope": "Namespaced"}, request("namespaces"), False),
        ({"scope": "*"}, request("namespaces"), True),
    ],
)
def test_rules(fields: dict[str, Any], attributes: Attributes, matches: bool) -> None:
    assert rule(**fields).matches(attributes, attributes.info.gvr) is matches


def matcher(**fields: Any) -> Matcher:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    return Matcher.of({"rules": [everything], **fields})


A = {"matchLabels": {"team": "a"}}
NOT_A = {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}


@pytest.mark.parametrize(
    ("fields", "attributes", "matches"),
    [
        ({"namespaceSelector": A}, request(), True),
        ({"namespaceSelector": NOT_A}, request(), False),
        ({"namespaceSelector": NOT_A}, request("nodes"), True),  # not in a namespace: never exempt
        ({"namespaceSelector": A}, request("nodes"), True),
        ({"namespaceSelector": A}, request("namespaces", labels={"team": "a"}), True),
        ({"namespaceSelector": A}, request("namespaces"), False),
        ({"namespaceSelector": A}, request("namespaces", operation=Operation.UPDATE, labels={"team": "a"}), True),
        ({"namespaceSelector": A}, request("namespaces", operation=Operation.DELETE, old={"team": "a"}), True),
        ({"namespaceSelector": A}, request("namespaces", operation=Operation.DELETE), False),
        ({"objectSelector": A}, request(labels={"team": "a"}), True),
        ({"objectSelector": A}, request(), False),
        ({"objectSelector": A}, request(operation=Operation.UPDATE, old={"team": "a"}), True),  # either of both
        ({"objectSelector": A}, request(operation=Operation.UPDATE, labels={"team": "a"}), True),
        ({"objectSelector": A}, request(operation=Operation.DELETE, old={"team": "a"}), True),
        ({"objectSelector": NOT_A}, request(operation=Operation.UPDATE, labels={"team": "a"}, old={"team": "a"}), False),
    ],
)
def test_selectors(fields: dict[str, Any], attributes: Attributes, matches: bool) -> None:
    assert (matcher(**fields).find(attributes) is not None) is matches


def test_a_namespace_that_is_not_there_is_told_to_those_who_are_meant() -> None:
    missing = request(namespace="gone")
    with pytest.raises(NotFound):
        matcher(namespaceSelector=A).find(missing)
    nothing = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["services"]}
    assert matcher(namespaceSelector=A, rules=[nothing]).find(missing) is None


def test_an_equivalent_is_found_only_where_the_policy_says_so() -> None:
    attributes = request("events", "events.k8s.io")
    core = BUILTIN.find("", "v1", "events")
    assert core is not None
    rules = [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}]
    assert matcher(rules=rules).find(attributes, [core]) is core
    assert matcher(rules=rules, matchPolicy="Exact").find(attributes, [core]) is None
    both = [*rules, {**rules[0], "apiGroups": ["events.k8s.io"]}]
    assert matcher(rules=both).find(attributes, [core]) is attributes.info


def test_what_decides_about_admission_is_exempt() -> None:
    served = {row.storage_id for row in BUILTIN if row.group == "admissionregistration.k8s.io"}
    assert served <= EXEMPT
