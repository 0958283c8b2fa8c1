# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ValidatingAdmissionPolicy: what is judged, with what, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.widgets import crd, widget
from support.world import ADMIN, World

from kplane_server.model.errors import ApiError, Invalid
from kplane_server.model.identity import UserInfo
from kplane_server.registry.options import RequestContext

Document = dict[str, Any]
GROUP = "admissionregistration.k8s.io/v1"
MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.stop()


def policy(*validations: Document, name: str = "p", rules: list[Document] | None = None, constraints: Any = None, **spec: Any) -> Document:
    matches = {"resourceRules": rules or [MAPS], **(constraints or {})}
    body: Document = {"matchConstraints": matches, **({"validations": list(validations)} if validations else {}), **spec}
    return {"apiVersion": GROUP, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": body}


def binding(*actions: str, name: str = "b", of: str = "p", **spec: Any) -> Document:
    body = {"policyName": of, "validationActions": list(actions or ("Deny",)), **spec}
    return {"apiVersion": GROUP, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": body}


def config_map(name: str = "m", data: dict[str, str] | None = None, namespace: str = "default", **metadata: Any) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}, "data": data or {}}


async def bound(world: World, document: Document, *bindings: Document, vcp: str = "root") -> None:
    await world.create(document, vcp)
    for one in bindings or (binding(),):
        await world.create(one, vcp)


async def write(world: World, document: Document, context: RequestContext | None = None, vcp: str = "root") -> RequestContext:
    context = context or RequestContext(ADMIN)
    namespace = document["metadata"].get("namespace", "")
    await world.api(vcp).create(world.info(document["kind"], vcp), namespace, document, context)
    return context


async def test_a_rule_that_does_not_hold_refuses(world: World) -> None:
    await bound(world, policy({"expression": "size(object.data) > 0"}))
    with pytest.raises(ApiError) as caught:
        await write(world, config_map())
    why = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: size(object.data) > 0"
    assert caught.value.message == f'configmaps "m" is forbidden: {why}'
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert [cause.message for cause in caught.value.causes] == [why]
    await write(world, config_map(data={"a": "b"}))


@pytest.mark.parametrize(("reason", "code"), [("Forbidden", 403), ("Unauthorized", 401), ("RequestEntityTooLarge", 413), ("Invalid", 422)])
async def test_the_policy_chooses_the_reason_and_the_words(world: World, reason: str, code: int) -> None:
    await bound(
        world,
        policy({"expression": "false", "message": "never", "messageExpression": "'no ' + object.metadata.name", "reason": reason}),
    )
    with pytest.raises(ApiError, match=r"denied request: no m$") as caught:
        await write(world, config_map())
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_a_message_that_fails_falls_back(world: World) -> None:
    await bound(world, policy({"expression": "false", "message": "never", "messageExpression": "object.data.missing"}))
    with pytest.raises(ApiError, match=r"denied request: never$"):
        await write(world, config_map())


async def test_updates_see_the_old_object(world: World) -> None:
    rule = {"expression": "oldObject == null || object.data.a == oldObject.data.a", "message": "a stays"}
    await bound(world, policy(rule))
    await write(world, config_map(data={"a": "1"}))
    await world.merge("ConfigMap", "m", {"data": {"b": "2"}}, "default")
    with pytest.raises(ApiError, match="a stays"):
        await world.merge("ConfigMap", "m", {"data": {"a": "2"}}, "default")


async def test_deletions_are_judged_too(world: World) -> None:
    rules = [{**MAPS, "operations": ["DELETE"]}]
    await bound(world, policy({"expression": "object == null && oldObject.metadata.name != 'keep'"}, rules=rules))
    await write(world, config_map("keep"))
    await write(world, config_map("go"))
    await world.delete("ConfigMap", "go", "default")
    with pytest.raises(ApiError, match="failed expression"):
        await world.delete("ConfigMap", "keep", "default")


async def test_warnings_and_audit_do_not_refuse(world: World) -> None:
    await bound(world, policy({"expression": "true"}, {"expression": "false", "message": "hm"}), binding("Warn", "Audit"))
    context = await write(world, config_map())
    assert context.warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': hm"]
    assert context.annotations == {
        "validation.policy.admission.k8s.io/validation_failure": (
            '[{"message":"hm","policy":"p","binding":"b","expressionIndex":1,"validationActions":["Warn","Audit"]}]'
        )
    }


async def test_audit_annotations(world: World) -> None:
    annotations = [
        {"key": "who", "valueExpression": "request.userInfo.username + ' made ' + request.name"},
        {"key": "none", "valueExpression": "null"},
    ]
    await bound(world, policy(auditAnnotations=annotations), binding("Audit"))
    assert (await write(world, config_map())).annotations == {"p/who": "kplane-admin made m"}


async def test_variables_are_lazy_and_build_on_each_other(world: World) -> None:
    variables = [
        {"name": "size", "expression": "size(object.data)"},
        {"name": "broken", "expression": "object.data.missing"},
        {"name": "twice", "expression": "variables.size * 2"},
    ]
    await bound(world, policy({"expression": "variables.twice == 4 || variables.broken == 'x'"}, variables=variables))
    await write(world, config_map(data={"a": "1", "b": "2"}))
    with pytest.raises(ApiError, match=r"resulted in error: no such key: missing"):
        await write(world, config_map("n", data={"a": "1"}))


async def test_match_conditions_narrow(world: World) -> None:
    conditions = [{"name": "mine", "expression": "request.userInfo.username.startsWith('tenant:')"}]
    await bound(world, policy({"expression": "false"}, matchConditions=conditions))
    await write(world, config_map())
    with pytest.raises(ApiError, match="denied request"):
        await write(world, config_map("n"), RequestContext(UserInfo("tenant:a")))


@pytest.mark.parametrize(("failure", "refused"), [("Fail", True), ("Ignore", False)])
async def test_errors_are_what_the_failure_policy_says(world: World, failure: str, refused: bool) -> None:
    await bound(world, policy({"expression": "object.data.missing == 'x'"}, failurePolicy=failure))
    if refused:
        why = r"denied request: expression 'object.data.missing == 'x'' resulted in error: no such key: missing$"
        with pytest.raises(ApiError, match=why):
            await write(world, config_map())
    else:
        await write(world, config_map())


async def test_an_expression_that_costs_too_much_is_an_error(world: World) -> None:
    costly = "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
    costly += "[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a + b + c + d + e > 0)))))"
    await bound(world, policy({"expression": costly}, {"expression": costly + " && true"}))
    with pytest.raises(ApiError, match="cost limit exceeded"):
        await write(world, config_map())


async def test_selectors_names_and_exceptions_choose(world: World) -> None:
    labels = {"matchLabels": {"team": "a"}}
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"team": "a"}}})
    await bound(
        world,
        policy({"expression": "false", "message": "p1"}, name="p1", constraints={"namespaceSelector": labels}),
        binding(of="p1", name="b1"),
    )
    await bound(
        world,
        policy({"expression": "false", "message": "p2"}, name="p2", constraints={"objectSelector": labels}),
        binding(of="p2", name="b2"),
    )
    named = [{**MAPS, "resourceNames": ["special"]}]
    await bound(world, policy({"expression": "false", "message": "p3"}, name="p3", rules=named), binding(of="p3", name="b3"))
    anything = [{**MAPS, "resources": ["*"]}]
    secrets = {**MAPS, "resources": ["secrets"]}
    only = binding(of="p4", name="b4", matchResources={"resourceRules": [{**MAPS, "resources": ["secrets", "endpoints"]}]})
    await bound(
        world,
        policy({"expression": "false", "message": "p4"}, name="p4", rules=anything, constraints={"excludeResourceRules": [secrets]}),
        only,
    )
    await write(world, config_map("plain"))
    for document, which in (
        (config_map("x", namespace="a"), "p1"),
        (config_map("y", labels={"team": "a"}), "p2"),
        (config_map("special"), "p3"),
        ({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e", "namespace": "default"}}, "p4"),
    ):
        with pytest.raises(ApiError, match=f"denied request: {which}$"):
            await write(world, document)
    await write(world, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}})


async def test_parameters(world: World) -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    rule = {"expression": "params != null && size(object.data) <= int(params.data.most)", "message": "too much"}
    rules = [{**MAPS, "resources": ["secrets"]}]
    await world.create(policy(rule, paramKind=kind, rules=rules))
    await world.create(config_map("limits", {"most": "1"}, labels={"kind": "limit"}))
    reference = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await world.create(binding(paramRef=reference))

    def secret(name: str, size: int) -> Document:
        data = {f"k{i}": "eA==" for i in range(size)}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data}

    await write(world, secret("a", 1))
    with pytest.raises(ApiError, match="too much"):
        await write(world, secret("b", 2))
    await world.merge("ConfigMap", "limits", {"data": {"most": "2"}}, "default")
    await write(world, secret("b", 2))
    await world.create(config_map("stricter", {"most": "0"}, labels={"kind": "limit"}))
    selector = {"selector": {"matchLabels": {"kind": "limit"}}, "parameterNotFoundAction": "Allow"}
    await world.create(binding(name="all", paramRef=selector))
    with pytest.raises(ApiError, match="'p' with binding 'all' denied request: too much"):
        await write(world, secret("c", 1))
    await world.delete("ConfigMap", "stricter", "default")
    await world.delete("ConfigMap", "limits", "default")
    with pytest.raises(
        ApiError, match="failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    ):
        await write(world, secret("c", 1))


async def test_an_unknown_kind_of_parameters_is_a_configuration_error(world: World) -> None:
    reference = {"name": "x", "parameterNotFoundAction": "Allow"}
    kind = {"apiVersion": "example.com/v1", "kind": "Widget"}
    await bound(world, policy({"expression": "params == null"}, paramKind=kind), binding(paramRef=reference))
    with pytest.raises(
        ApiError, match=r"failed to configure policy: failed to find resource referenced by paramKind: 'example\.com/v1, Kind=Widget'"
    ):
        await write(world, config_map())
    await world.create(crd())
    await write(world, config_map())
    await world.create(widget("x", "default"))
    with pytest.raises(ApiError, match="failed expression: params == null"):
        await write(world, config_map("n"))


async def test_expressions_may_ask_for_authority_and_the_namespace(world: World) -> None:
    ask = "authorizer.group('').resource('secrets').namespace('default').check('delete').allowed()"
    same = "authorizer.requestResource.check('create').allowed()"
    where = "namespaceObject.metadata.name == 'default' && has(request.namespace) && !has(request.subResource)"
    await bound(world, policy({"expression": f"{ask} && {same} && {where}"}))
    await write(world, config_map())
    with pytest.raises(ApiError, match="failed expression"):
        await write(world, config_map("n"), RequestContext(UserInfo("nobody")))


async def test_other_versions_are_judged_at_the_one_that_is_named(world: World) -> None:
    named = [{"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "resources": ["horizontalpodautoscalers"], "operations": ["*"]}]
    await bound(world, policy({"expression": "object.spec.targetCPUUtilizationPercentage < 80", "message": "hot"}, rules=named))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}}}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]},
    }
    with pytest.raises(ApiError, match="hot"):
        await world.create(scaler)


async def test_policies_do_not_judge_policies(world: World) -> None:
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*", "*"], "operations": ["*"]}]
    await bound(world, policy({"expression": "false"}, rules=everything))
    with pytest.raises(ApiError, match="failed expression: false"):
        await write(world, config_map())
    await world.delete("ValidatingAdmissionPolicyBinding", "b")
    await write(world, config_map())


async def test_same_names_in_two_control_planes(world: World) -> None:
    for vcp, limit in (("a", 1), ("b", 2)):
        await world.control_plane(vcp)
        await bound(world, policy({"expression": f"size(object.data) <= {limit}", "message": vcp}), vcp=vcp)
    two, three = {"a": "1", "b": "2"}, {"a": "1", "b": "2", "c": "3"}
    for name in ("x", "y"):  # cold, then warm
        with pytest.raises(ApiError, match=r"denied request: a$"):
            await write(world, config_map(name, two), vcp="a")
        await write(world, config_map(name, two), vcp="b")
        with pytest.raises(ApiError, match=r"denied request: b$"):
            await write(world, config_map(name + "2", three), vcp="b")
        await write(world, config_map(name, three))


@pytest.mark.parametrize(
    ("spec", "field", "why"),
    [
        ({"validations": [{"expression": "object."}]}, "spec.validations[0].expression", "compilation failed: ERROR: <input>:1:"),
        ({"validations": [{"expression": "1 + 1"}]}, "spec.validations[0].expression", "must evaluate to bool"),
        ({"validations": [{"expression": "params.x"}]}, "spec.validations[0].expression", "undeclared reference to 'params'"),
        ({"validations": [{"expression": "variables.x"}]}, "spec.validations[0].expression", "undefined field 'x'"),
        (
            {"validations": [{"expression": "true", "messageExpression": "1"}]},
            "spec.validations[0].messageExpression",
            "must evaluate to string",
        ),
        ({"validations": [{"expression": "true", "message": "a\nb"}]}, "spec.validations[0].message", "must not contain line breaks"),
        ({"validations": [{"expression": "true", "reason": "Odd"}]}, "spec.validations[0].reason", "Unsupported value"),
        ({"auditAnnotations": [{"key": "a b", "valueExpression": "''"}]}, "spec.auditAnnotations[0].key", "Invalid value"),
        (
            {"auditAnnotations": [{"key": "a", "valueExpression": "1"}]},
            "spec.auditAnnotations[0].valueExpression",
            "must evaluate to string or null",
        ),
        (
            {"validations": [{"expression": "true"}], "variables": [{"name": "in", "expression": "1"}]},
            "spec.variables[0].name",
            "CEL identifier",
        ),
        (
            {"validations": [{"expression": "true"}], "matchConditions": [{"name": "a", "expression": "'x'"}]},
            "spec.matchConditions[0].expression",
            "bool",
        ),
    ],
)
async def test_policies_that_cannot_be_right_are_refused(world: World, spec: Document, field: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.create(policy(**spec))
    assert any(cause.field == field and why in cause.message for cause in caught.value.causes), caught.value.causes


async def test_types_are_checked_into_the_status(world: World) -> None:
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}]
    good, bad = {"expression": "object.spec.replicas > 1"}, {"expression": "object.spec.replica > 1", "messageExpression": "object.kind"}
    await world.create(policy(good, bad, rules=rules))
    await world.settle(lambda: world.read("ValidatingAdmissionPolicy", "p").get("status"))
    status = world.read("ValidatingAdmissionPolicy", "p")["status"]
    assert status["observedGeneration"] == 1
    (warning,) = status["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[1].expression"
    assert warning["warning"].startswith(
        "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'\n | object.spec.replica > 1\n"
    )
    await world.merge("ValidatingAdmissionPolicy", "p", {"spec": {"validations": [good]}})
    await world.settle(lambda: world.read("ValidatingAdmissionPolicy", "p")["status"]["observedGeneration"] == 2)
    assert world.read("ValidatingAdmissionPolicy", "p")["status"]["typeChecking"] == {}


async def test_each_policy_has_a_budget_of_its_own_and_dear_ones_are_evaluated_aside(world: World) -> None:
    """Half a million units each, of which a thread does the most; what is asked of the server is asked on its own loop."""
    dear = "lists.range(250).all(x, lists.range(250).all(y, x + y >= 0))"
    asked = "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
    for name in ("p", "q", "r"):
        expression = {
            "expression": f"{dear} && {asked} && object.metadata.name != 'bad{name}'",
            "messageExpression": f"{dear} ? 'too bad' : ''",
        }
        await bound(world, policy(expression, name=name), binding(name=name, of=name))
    await write(world, config_map())
    with pytest.raises(ApiError, match="ValidatingAdmissionPolicy 'r' with binding 'r' denied request: too bad"):
        await write(world, config_map("badr"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("request.usrInfo.username == 'a'", "undefined field 'usrInfo'"),
        ("request.userInfo.groups == 'a'", "found no matching overload for '_==_' applied to '(list(string), string)'"),
        ("namespaceObject.metadata.labls.a == 'b'", "undefined field 'labls'"),
        ("authorizer.grup('').resource('pods').check('get').allowed()", "undeclared reference to 'grup'"),
        ("authorizer.requestResource.allowed()", "found no matching overload for 'allowed'"),
        ("variables.x > 'a'", "undefined field 'x'"),
    ],
)
async def test_what_expressions_know_has_types(world: World, text: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.create(policy({"expression": text}))
    assert why in caught.value.message
    await world.create(policy({"expression": "request.userInfo.extra['a'].exists(x, x == namespaceObject.metadata.labels['b'])"}))
    await world.create(policy({"expression": "authorizer.requestResource.check('delete').allowed() || request.options.dry == 1"}, name="q"))
