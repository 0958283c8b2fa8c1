# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MutatingAdmissionPolicy: what is changed, by what, and what becomes of a change that cannot be made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.widgets import crd, widget
from support.world import World

from kplane_server.admission.policies.mutating import MutatingPolicies
from kplane_server.model.errors import ApiError, Invalid
from kplane_server.model.identity import UserInfo
from kplane_server.registry.attributes import Attributes
from kplane_server.registry.options import RequestContext

Document = dict[str, Any]
GROUP = "admissionregistration.k8s.io/v1beta1"
MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"]}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.stop()


def patch(expression: str) -> Document:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def merge(expression: str) -> Document:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def data(key: str, value: str) -> Document:
    """A mutation that sets one entry; ``value`` is an expression."""
    return merge(f'Object{{data: {{"{key}": {value}}}}}')


def policy(*mutations: Document, name: str = "p", rules: list[Document] | None = None, **spec: Any) -> Document:
    body: Document = {"matchConstraints": {"resourceRules": rules or [MAPS]}, "mutations": list(mutations), "reinvocationPolicy": "Never"}
    return {"apiVersion": GROUP, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {**body, **spec}}


def binding(name: str = "b", of: str = "p", **spec: Any) -> Document:
    kind = "MutatingAdmissionPolicyBinding"
    return {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": {"policyName": of, **spec}}


def config_map(name: str = "m", data: dict[str, str] | None = None, **metadata: Any) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", **metadata}, "data": data or {}}


def deployment(*containers: Document, **spec: Any) -> Document:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers or [{"name": "web", "image": "web:1"}]), **spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


async def bound(world: World, *documents: Document, vcp: str = "root") -> None:
    for document in documents:
        await world.create(document, vcp)
        name = document["metadata"]["name"]
        await world.create(binding(f"{name}-bound", name), vcp)


async def test_a_configuration_is_merged(world: World) -> None:
    containers = (
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"
        'containers: [Object.spec.template.spec.containers{name: "side", image: "side:1"}]}}}}'
    )
    await bound(world, policy(merge(containers), rules=[DEPLOYMENTS]))
    made = await world.create(deployment())
    found = made["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in found] == [("web", "web:1"), ("side", "side:1")]
    assert found[1]["terminationMessagePath"] == "/dev/termination-log"  # what a policy adds has its defaults too
    again = await world.merge("Deployment", "d", {"spec": {"replicas": 2}}, "default")
    assert len(again["spec"]["template"]["spec"]["containers"]) == 2


async def test_optional_fields_and_the_object_itself(world: World) -> None:
    expression = 'Object{data: {"copy": object.data.a}, ?metadata: has(object.metadata.labels) ? optional.none() : '
    expression += 'optional.of(Object.metadata{labels: {"none": "yes"}})}'
    await bound(world, policy(merge(expression)))
    made = await world.create(config_map("m", {"a": "1"}))
    assert (made["data"], made["metadata"]["labels"]) == ({"a": "1", "copy": "1"}, {"none": "yes"})
    made = await world.create(config_map("n", {"a": "2"}, labels={"x": "y"}))
    assert (made["data"], made["metadata"]["labels"]) == ({"a": "2", "copy": "2"}, {"x": "y"})


async def test_json_patches(world: World) -> None:
    operations = (
        '[JSONPatch{op: "test", path: "/data/a", value: "1"},'
        ' JSONPatch{op: "add", path: "/metadata/labels", value: {"a/b~c": "x"}},'
        ' JSONPatch{op: "replace", path: "/metadata/labels/" + jsonpatch.escapeKey("a/b~c"), value: "y"},'
        ' JSONPatch{op: "copy", from: "/data/a", path: "/data/b"},'
        ' JSONPatch{op: "move", from: "/metadata/labels/a~1b~0c", path: "/metadata/labels/z"},'
        ' JSONPatch{op: "remove", path: "/data/a"}]'
    )
    await bound(world, policy(patch(operations)))
    made = await world.create(config_map("m", {"a": "1"}))
    assert (made["data"], made["metadata"]["labels"]) == ({"b": "1"}, {"z": "y"})
    untouched = await world.create(config_map("n", {"a": "2"}))  # a test that fails is no error
    assert untouched["data"] == {"a": "2"}
    assert "labels" not in untouched["metadata"]


async def test_objects_may_be_values_of_patches(world: World) -> None:
    value = 'Object.spec.template.spec.containers{name: "side", image: "side:1", ports: [{"containerPort": 80}]}'
    operation = f'[JSONPatch{{op: "add", path: "/spec/template/spec/containers/-", value: {value}}}]'
    await bound(world, policy(patch(operation), rules=[DEPLOYMENTS]))
    side = (await world.create(deployment()))["spec"]["template"]["spec"]["containers"][1]
    assert (side["image"], side["ports"]) == ("side:1", [{"containerPort": 80, "protocol": "TCP"}])


async def test_mutations_and_policies_build_on_each_other(world: World) -> None:
    count = "string(size(object.data))"
    await bound(world, policy(data("a1", count), data("a2", count), name="a"), policy(data("b", count), name="b"))
    assert (await world.create(config_map()))["data"] == {"a1": "0", "a2": "1", "b": "2"}


@pytest.mark.parametrize(("again", "seen"), [("Never", "0"), ("IfNeeded", "2")])
async def test_a_policy_may_be_asked_again(world: World, again: str, seen: str) -> None:
    await bound(
        world,
        policy(data("a", "string(size(object.data))"), name="a", reinvocationPolicy=again),
        policy(data("b", "'x'"), name="b"),
    )
    assert (await world.create(config_map()))["data"] == {"a": seen, "b": "x"}


async def test_variables_parameters_and_conditions(world: World) -> None:
    await world.create(config_map("settings", {"tier": "gold"}))
    document = policy(
        data("tier", "variables.text"),
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        variables=[
            {"name": "tier", "expression": "params.data.tier"},
            {"name": "text", "expression": "variables.tier + '!'"},
        ],
        matchConditions=[{"name": "tenants", "expression": "request.userInfo.username.startsWith('tenant')"}],
    )
    await world.create(document)
    reference = {"name": "settings", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await world.create(binding(paramRef=reference))
    assert (await world.create(config_map("mine")))["data"] == {}
    stored = await world.api().create(world.info("ConfigMap"), "default", config_map("theirs"), RequestContext(UserInfo("tenant:a")))
    assert b'"tier":"gold!"' in stored.value
    await world.delete("ConfigMap", "settings", "default")
    why = "policy 'p' with binding 'b' denied request: failed to configure binding: no params found"
    with pytest.raises(ApiError, match=why) as caught:
        await world.create(config_map("n"))
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")


async def test_custom_resources_are_changed_by_their_schema(world: World) -> None:
    await world.create(crd())
    rules = [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["widgets"], "operations": ["*"]}]
    await bound(world, policy(merge('Object{metadata: Object.metadata{annotations: {"seen": "yes"}}}'), rules=rules))
    assert (await world.create(widget("w", "default")))["metadata"]["annotations"] == {"seen": "yes"}


ATOMIC = "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{tolerations: []}}}}"
WRONG_NAME = "Object{spec: Object.spec{template: Object.spec.wrong{}}}"


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (merge(ATOMIC), "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
         ".spec.template.spec.tolerations"),
        (merge(WRONG_NAME), 'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.template", '
         "which matches field name path from root Object type"),
        (merge("Object{spec: Object.spec{odd: 1}}"), "error applying patch: failed to convert patch object to typed object: "
         ".spec.odd: field not declared in schema"),
        (merge("Object{spec: Object.spec{replicas: object.spec.missing}}"), "expression 'Object{spec: Object.spec{replicas: "
         "object.spec.missing}}' resulted in error: no such key: missing"),
        (merge("dyn(1)"), "unsupported return type from ApplyConfiguration expression: int"),
        (patch("[dyn(1)]"), "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of int"),
        (patch('[JSONPatch{op: "odd", path: "/spec"}]'), "JSON Patch: Unexpected kind: odd"),
    ],
)  # fmt: skip
async def test_what_cannot_be_applied_refuses(world: World, mutation: Document, why: str) -> None:
    await bound(world, policy(mutation, rules=[DEPLOYMENTS]))
    with pytest.raises(ApiError) as caught:
        await world.create(deployment())
    error = caught.value
    assert error.message == f"policy 'p' with binding 'p-bound' denied request: {why}"
    assert (error.code, error.reason, [cause.message for cause in error.causes]) == (403, "Invalid", [error.message])


async def test_failures_may_be_ignored(world: World) -> None:
    broken = data("a", "object.data.missing")
    await bound(world, policy(broken, data("b", "'x'"), failurePolicy="Ignore"))
    assert (await world.create(config_map()))["data"] == {"b": "x"}


async def test_a_patch_that_makes_no_document_of_the_kind_is_an_internal_error(world: World) -> None:
    await bound(world, policy(patch('[JSONPatch{op: "add", path: "/spec/odd", value: 1}]'), rules=[DEPLOYMENTS]))
    with pytest.raises(ApiError, match=r'strict decoding error: unknown field "spec\.odd"') as caught:
        await world.create(deployment())
    assert caught.value.code == 500


async def test_unknown_fields_of_the_client_are_not_the_policys_fault(world: World) -> None:
    await bound(world, policy(patch('[JSONPatch{op: "add", path: "/data/a", value: "b"}]')))
    made = await world.create({**config_map(), "odd": 1})
    assert (made["data"], "odd" in made) == ({"a": "b"}, False)


async def test_values_that_share_parts_do_not_grow_without_bound(world: World) -> None:
    steps = [{"name": "v0", "expression": "'0123456789'"}]
    steps += [{"name": f"v{i + 1}", "expression": f"[{', '.join([f'variables.v{i}'] * 10)}]"} for i in range(8)]
    grow = '[JSONPatch{op: "add", path: "/data", value: {"a": variables.v8}}]'
    await bound(world, policy(patch(grow), variables=steps))
    with pytest.raises(ApiError, match="cost limit exceeded"):
        await world.create(config_map())


async def test_deletions_and_policies_themselves_are_left_alone(world: World) -> None:
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}]
    await bound(world, policy(merge('Object{metadata: Object.metadata{labels: {"a": "b"}}}'), rules=everything))
    await world.create(config_map())
    assert "labels" not in (await world.create(policy(data("a", "'b'"), name="q")))["metadata"]
    await world.delete("ConfigMap", "m", "default")


async def test_same_names_in_two_control_planes(world: World) -> None:
    for vcp in ("a", "b"):
        await world.control_plane(vcp)
        await bound(world, policy(data("where", f"'{vcp}'")), vcp=vcp)
    for name in ("x", "y"):  # cold, then warm
        for vcp in ("a", "b"):
            assert (await world.create(config_map(name), vcp))["data"] == {"where": vcp}
        assert (await world.create(config_map(name)))["data"] == {}


async def test_nothing_is_done_for_a_control_plane_without(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def admit(self: MutatingPolicies, attributes: Attributes) -> None:
        asked.append(attributes.name)

    monkeypatch.setattr(MutatingPolicies, "admit", admit)
    await world.control_plane("a")
    await bound(world, policy(data("a", "'b'")), vcp="a")
    await world.create(config_map("root"))
    await world.create(policy(data("a", "'b'")))
    await world.create(config_map("unbound"))
    assert asked == []
    await world.create(config_map("here"), "a")
    await world.create(binding())
    await world.create(config_map("bound"))
    assert asked == ["here", "bound"]


@pytest.mark.parametrize(
    ("spec", "field", "why"),
    [
        ({"mutations": []}, "spec.mutations", "mutations must contain at least one item"),
        ({"reinvocationPolicy": ""}, "spec.reinvocationPolicy", "Required value"),
        ({"reinvocationPolicy": "Odd"}, "spec.reinvocationPolicy", 'supported values: "IfNeeded", "Never"'),
        ({"failurePolicy": "Odd"}, "spec.failurePolicy", 'supported values: "Fail", "Ignore"'),
        ({"matchConstraints": {"resourceRules": []}}, "spec.matchConstraints.resourceRules", "Required value"),
        (
            {"matchConstraints": {"resourceRules": [{**MAPS, "operations": ["DELETE"]}]}},
            "spec.matchConstraints.resourceRules.operations",
            'Unsupported value: "DELETE": supported values: "*", "CREATE", "UPDATE"',
        ),
        ({"mutations": [{"patchType": "Odd"}]}, "spec.mutations[0].patchType", "Unsupported value"),
        ({"mutations": [{"patchType": "JSONPatch"}]}, "spec.mutations[0].jsonPatch", "must be specified when patchType is JSONPatch"),
        (
            {"mutations": [{**patch("[]"), **merge("Object{}")}]},
            "spec.mutations[0].jsonPatch",
            "must not be specified when patchType is ApplyConfiguration",
        ),
        ({"mutations": [merge(" ")]}, "spec.mutations[0].applyConfiguration.expression", "Required value"),
        ({"mutations": [merge("1")]}, "spec.mutations[0].applyConfiguration.expression", "must evaluate to Object but got int"),
        ({"mutations": [patch("[1]")]}, "spec.mutations[0].jsonPatch.expression", "must evaluate to list(JSONPatch) but got list(int)"),
        ({"mutations": [merge("Odd{}")]}, "spec.mutations[0].applyConfiguration.expression", "undeclared reference to 'Odd'"),
        (
            {"mutations": [patch("[JSONPatch{op: 1}]")]},
            "spec.mutations[0].jsonPatch.expression",
            "expected type of field 'op' is 'string' but provided type is 'int'",
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "Object{} == Object{}"}]},
            "spec.matchConditions[0].expression",
            "undeclared reference to 'Object'",
        ),
    ],
)
async def test_policies_that_cannot_be_right_are_refused(world: World, spec: Document, field: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.create(policy(**{"mutations": [data("a", "'b'")], **spec}) if "mutations" not in spec else _with(spec))
    assert [(cause.field, why in cause.message) for cause in caught.value.causes] == [(field, True)]


def _with(spec: Document) -> Document:
    document = policy()
    document["spec"] |= spec
    return document


async def test_bindings_that_cannot_be_right_are_refused(world: World) -> None:
    await world.create(binding("fine"))
    for spec, field in (
        ({"policyName": ""}, "spec.policyName"),
        ({"policyName": "Not A Name"}, "spec.policyName"),
        ({"paramRef": {"name": "a"}}, "spec.paramRef.parameterNotFoundAction"),
        ({"matchResources": {"resourceRules": [{**MAPS, "operations": ["DELETE"]}]}}, "spec.matchResources.resourceRules.operations"),
    ):
        with pytest.raises(Invalid) as caught:
            await world.create(binding("bad", **spec))
        assert [cause.field for cause in caught.value.causes] == [field]


async def test_defaults(world: World) -> None:
    made = await world.create(policy(data("a", "'b'")))
    assert made["spec"]["failurePolicy"] == "Fail"
    assert made["spec"]["matchConstraints"]["matchPolicy"] == "Equivalent"
    assert made["spec"]["matchConstraints"]["resourceRules"][0]["scope"] == "*"
    assert made["metadata"]["generation"] == 1
