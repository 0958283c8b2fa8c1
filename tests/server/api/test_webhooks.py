# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission webhooks at the front door: a real server calls real HTTPS webhooks, each VCP its own and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.client import Client, eventually
from support.server import Server, unique
from support.webhook import WebhookServer, admission, patch

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose control planes may call webhooks on loopback."""
    running = Server(tmp_path_factory.mktemp("webhooks") / "data", options=("--outbound-allow", "127.0.0.0/8"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    made = WebhookServer(tmp_path_factory.mktemp("hooks"))
    yield made
    made.close()


def rule(*resources: str, operations: tuple[str, ...] = ("CREATE", "UPDATE"), **fields: Any) -> dict[str, Any]:
    return {"apiGroups": ["*"], "apiVersions": ["*"], "operations": list(operations), "resources": list(resources), **fields}


def webhook(client: dict[str, Any], *rules: dict[str, Any], name: str = "hook.example.com", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "clientConfig": client,
        "rules": list(rules) or [rule("configmaps")],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }


def configure(vcp: Client, kind: str, *webhooks: dict[str, Any], name: str = "hooks") -> None:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }
    vcp.post(f"{CONFIGURATIONS}/{kind.lower()}webhookconfigurations", body).ok()


def config_map(name: str = "c", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}


def path() -> str:
    return "/" + unique("hook")


def allow(review: Any) -> Any:
    return admission(review)


def deny(review: Any) -> Any:
    return admission(review, allowed=False, status={"message": "not today", "code": 418, "reason": "Teapot"})


# -- what is asked and answered
def test_the_review_is_upstreams(vcp: Client, hooks: WebhookServer) -> None:
    where = path()
    configure(vcp, "Validating", webhook(hooks.at(where, allow), rule("configmaps", operations=("*",))))
    vcp.post(f"{MAPS}?fieldManager=me&fieldValidation=Strict", config_map()).ok()
    vcp.patch(f"{MAPS}/c", {"data": {"a": "2"}}).ok()
    vcp.delete(f"{MAPS}/c").ok()
    created, updated, deleted = (review["request"] for review in hooks.reviews[where])
    assert hooks.reviews[where][0]["apiVersion"] == "admission.k8s.io/v1"
    assert hooks.reviews[where][0]["kind"] == "AdmissionReview"
    gvk, gvr = {"group": "", "version": "v1", "kind": "ConfigMap"}, {"group": "", "version": "v1", "resource": "configmaps"}
    for request in (created, updated, deleted):
        assert request["kind"] == request["requestKind"] == gvk
        assert request["resource"] == request["requestResource"] == gvr
        assert (request["name"], request["namespace"], request["dryRun"]) == ("c", "default", False)
        assert request["userInfo"]["username"]
        assert "system:authenticated" in request["userInfo"]["groups"]
        assert "subResource" not in request
    assert len({request["uid"] for request in (created, updated, deleted)}) == 3
    assert created["operation"] == "CREATE"
    assert created["oldObject"] is None
    assert created["object"]["metadata"]["uid"]
    assert created["options"] == {
        "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me", "fieldValidation": "Strict",
    }  # fmt: skip
    assert (updated["operation"], updated["options"]["kind"]) == ("UPDATE", "UpdateOptions")
    assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"a": "1"}, {"a": "2"})
    assert (deleted["operation"], deleted["object"], deleted["options"]["kind"]) == ("DELETE", None, "DeleteOptions")
    assert deleted["oldObject"]["data"] == {"a": "2"}


def test_mutating_policies_come_before_mutating_webhooks(vcp: Client, hooks: WebhookServer) -> None:
    """In both rounds: what the webhook changes makes a policy that wants it run once more, and that is seen by nobody else."""
    group = "admissionregistration.k8s.io/v1beta1"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]
    expression = 'Object{data: {"seen": string(size(object.data))}}'
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        "reinvocationPolicy": "IfNeeded",
    }
    document = {"apiVersion": group, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": spec}
    vcp.post(f"/apis/{group}/mutatingadmissionpolicies", document).ok()
    bound = {"apiVersion": group, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "b"}, "spec": {"policyName": "p"}}
    vcp.post(f"/apis/{group}/mutatingadmissionpolicybindings", bound).ok()
    where, add = path(), patch({"op": "add", "path": "/data/hook", "value": "x"})
    configure(vcp, "Mutating", webhook(hooks.at(where, lambda review: admission(review, **add))))
    made = vcp.post(MAPS, config_map()).ok()
    assert hooks.reviews[where][0]["request"]["object"]["data"] == {"a": "1", "seen": "1"}
    assert made["data"] == {"a": "1", "hook": "x", "seen": "3"}


def test_a_denial_carries_the_webhooks_status(vcp: Client, hooks: WebhookServer) -> None:
    configure(vcp, "Validating", webhook(hooks.at(path(), deny)))
    status = vcp.post(MAPS, config_map()).fails(418, "Teapot")
    assert status["message"] == 'admission webhook "hook.example.com" denied the request: not today'
    vcp.get(f"{MAPS}/c").fails(404)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, 'admission webhook "hook.example.com" denied the request without explanation'),
        ({"reason": "Because"}, 400, 'admission webhook "hook.example.com" denied the request: Because'),
        ({"code": 200, "message": "m"}, 400, 'admission webhook "hook.example.com" denied the request: m'),
        ({"code": 403, "message": "m"}, 403, 'admission webhook "hook.example.com" denied the request: m'),
    ],
)
def test_denials_in_words(vcp: Client, hooks: WebhookServer, status: Any, code: int, message: str) -> None:
    fields = {} if status is None else {"status": status}
    configure(vcp, "Validating", webhook(hooks.at(path(), lambda review: admission(review, allowed=False, **fields))))
    assert vcp.post(MAPS, config_map()).fails(code)["message"] == message


def test_warnings_reach_the_client(vcp: Client, hooks: WebhookServer) -> None:
    configure(vcp, "Validating", webhook(hooks.at(path(), lambda review: admission(review, warnings=["mind the gap"]))))
    answer = vcp.post(MAPS, config_map())
    answer.ok()
    assert answer.headers["warning"] == '299 - "mind the gap"'


# -- mutation
def test_patches_are_applied_in_order(vcp: Client, hooks: WebhookServer) -> None:
    def set_to(value: str) -> Callable[[Any], Any]:
        def answer(review: Any) -> Any:
            before = review["request"]["object"]["data"]["a"]
            return admission(review, **patch({"op": "replace", "path": "/data/a", "value": before + value}))

        return answer

    configure(vcp, "Mutating", webhook(hooks.at(path(), set_to("c"))), name="b")
    first = webhook(hooks.at(path(), set_to("a")), name="one.example.com")
    second = webhook(hooks.at(path(), set_to("b")), name="two.example.com")
    configure(vcp, "Mutating", first, second, name="a")
    assert vcp.post(MAPS, config_map()).ok()["data"] == {"a": "1abc"}
    assert vcp.get(f"{MAPS}/c").ok()["data"] == {"a": "1abc"}


def test_what_a_patch_leaves_out_is_defaulted_and_what_is_unknown_dropped(vcp: Client, hooks: WebhookServer) -> None:
    container = {"name": "side", "image": "i", "nonsense": 1}
    add = patch({"op": "add", "path": "/spec/containers/-", "value": container})
    configure(vcp, "Mutating", webhook(hooks.at(path(), lambda review: admission(review, **add)), rule("pods")))
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
    made = vcp.post("/api/v1/namespaces/default/pods", pod).ok()
    side = made["spec"]["containers"][1]
    assert side["imagePullPolicy"] == "Always"
    assert "nonsense" not in side
    owners = [entry for entry in made["metadata"].get("managedFields", []) if "side" in str(entry)]
    assert owners == []  # what admission adds belongs to nobody


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ([{"op": "remove", "path": "/data/none"}], "Internal error occurred"),
        ([{"op": "replace", "path": "/data", "value": 7}], "Internal error occurred"),
    ],
)
def test_patches_that_cannot_be(vcp: Client, hooks: WebhookServer, operations: list[Any], why: str) -> None:
    configure(vcp, "Mutating", webhook(hooks.at(path(), lambda review: admission(review, **patch(*operations)))))
    assert why in vcp.post(MAPS, config_map()).fails(500, "InternalError")["message"]


def test_a_webhook_cannot_move_an_object(vcp: Client, hooks: WebhookServer) -> None:
    def rename(review: Any) -> Any:
        return admission(review, **patch({"op": "replace", "path": "/metadata/name", "value": "other"}))

    vcp.post(MAPS, config_map()).ok()
    configure(vcp, "Mutating", webhook(hooks.at(path(), rename), rule("configmaps", operations=("UPDATE",))))
    vcp.patch(f"{MAPS}/c", {"data": {"a": "2"}}).fails(422)
    assert vcp.get(f"{MAPS}/c").ok()["data"] == {"a": "1"}
    vcp.get(f"{MAPS}/other").fails(404)
    move = patch({"op": "replace", "path": "/metadata/namespace", "value": "kube-system"})
    configure(vcp, "Mutating", webhook(hooks.at(path(), lambda review: admission(review, **move))), name="move")
    vcp.post(MAPS, config_map("d")).fails(400)


def test_a_webhook_may_name_what_is_made(vcp: Client, hooks: WebhookServer) -> None:
    def rename(review: Any) -> Any:
        return admission(review, **patch({"op": "replace", "path": "/metadata/name", "value": "other"}))

    configure(vcp, "Mutating", webhook(hooks.at(path(), rename), rule("configmaps", operations=("CREATE",))))
    assert vcp.post(MAPS, config_map()).ok()["metadata"]["name"] == "other"
    assert vcp.get(f"{MAPS}/other").ok()["metadata"]["name"] == "other"
    vcp.get(f"{MAPS}/c").fails(404)
    vcp.post(MAPS, config_map()).fails(409, "AlreadyExists")


def test_a_deletion_cannot_be_patched(vcp: Client, hooks: WebhookServer) -> None:
    vcp.post(MAPS, config_map()).ok()
    add = patch({"op": "add", "path": "/data", "value": {}})
    hook = webhook(hooks.at(path(), lambda review: admission(review, **add)), rule("configmaps", operations=("DELETE",)))
    configure(vcp, "Mutating", hook)
    assert "attempted to modify the object" in vcp.delete(f"{MAPS}/c").fails(500)["message"]
    vcp.get(f"{MAPS}/c").ok()


def test_reinvocation(vcp: Client, hooks: WebhookServer) -> None:
    """The first is asked again because the second changed something; the second is not, it does not want to be."""

    def label(name: str) -> Callable[[Any], Any]:
        def answer(review: Any) -> Any:
            labels = review["request"]["object"]["metadata"].get("labels") or {}
            return admission(review, **patch({"op": "add", "path": "/metadata/labels", "value": {**labels, name: str(len(labels))}}))

        return answer

    paths = (path(), path(), path())
    configure(
        vcp,
        "Mutating",
        webhook(hooks.at(paths[0], label("first")), name="a.example.com", reinvocationPolicy="IfNeeded"),
        webhook(hooks.at(paths[1], label("second")), name="b.example.com"),
        webhook(hooks.at(paths[2], allow), name="c.example.com", reinvocationPolicy="IfNeeded"),
    )
    made = vcp.post(MAPS, config_map()).ok()
    assert made["metadata"]["labels"] == {"first": "2", "second": "1"}
    assert [len(hooks.reviews[one]) for one in paths] == [2, 1, 2]


# -- what is meant
def test_selectors_and_rules(vcp: Client, hooks: WebhookServer) -> None:
    where = path()
    client = hooks.at(where, deny)
    configure(
        vcp,
        "Validating",
        webhook(client, rule("configmaps"), name="a.example.com", objectSelector={"matchLabels": {"deny": "me"}}),
        webhook(client, rule("secrets"), name="b.example.com", namespaceSelector={"matchLabels": {"strict": "yes"}}),
        webhook(client, rule("*", scope="Cluster", apiGroups=["storage.k8s.io"]), name="c.example.com"),
        webhook(client, rule("deployments/scale"), name="d.example.com"),
    )
    vcp.post(MAPS, config_map()).ok()
    vcp.post(MAPS, config_map("d", labels={"deny": "me"})).fails(418)
    vcp.patch(f"{MAPS}/c", {"metadata": {"labels": {"deny": "me"}}}).fails(418)
    vcp.post("/api/v1/namespaces", {"metadata": {"name": "strict", "labels": {"strict": "yes"}}}).ok()
    secret = {"metadata": {"name": "s"}}
    vcp.post("/api/v1/namespaces/default/secrets", secret).ok()
    vcp.post("/api/v1/namespaces/strict/secrets", secret).fails(418)
    storage = {"metadata": {"name": "s"}, "provisioner": "example.com/p"}
    vcp.post("/apis/storage.k8s.io/v1/storageclasses", storage).fails(418)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    vcp.post(deployments, {"metadata": {"name": "d"}, "spec": spec}).ok()
    vcp.patch(f"{deployments}/d/scale", {"spec": {"replicas": 3}}).fails(418)
    request = hooks.reviews[where][-1]["request"]
    assert request["subResource"] == request["requestSubResource"] == "scale"
    assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (request["oldObject"]["spec"], request["object"]["spec"]) == ({"replicas": 1}, {"replicas": 3})


def test_a_scale_can_be_patched(vcp: Client, hooks: WebhookServer) -> None:
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    vcp.post(deployments, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}).ok()
    five = patch({"op": "replace", "path": "/spec/replicas", "value": 5})
    configure(vcp, "Mutating", webhook(hooks.at(path(), lambda review: admission(review, **five)), rule("*/scale")))
    assert vcp.patch(f"{deployments}/d/scale", {"spec": {"replicas": 3}}).ok()["spec"]["replicas"] == 5
    assert vcp.get(f"{deployments}/d").ok()["spec"]["replicas"] == 5


def test_bindings_and_evictions_are_creations(vcp: Client, hooks: WebhookServer) -> None:
    where, deletions = path(), path()
    configure(vcp, "Validating", webhook(hooks.at(where, allow), rule("pods/binding", "pods/eviction", operations=("CREATE",))))
    configure(vcp, "Validating", webhook(hooks.at(deletions, deny), rule("pods", operations=("DELETE",))), name="deletions")
    pods = "/api/v1/namespaces/default/pods"
    vcp.post(pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}).ok()
    vcp.post(f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}).ok()
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}}
    vcp.post(f"{pods}/p/eviction", body).ok()
    seen = [(r["request"]["operation"], r["request"]["kind"]["kind"], r["request"]["object"]["kind"]) for r in hooks.reviews[where]]
    assert seen == [("CREATE", "Binding", "Binding"), ("CREATE", "Eviction", "Eviction")]
    assert hooks.reviews[where][0]["request"]["object"]["target"]["name"] == "n"
    assert hooks.reviews[deletions] == []


def test_equivalent_versions(vcp: Client, hooks: WebhookServer) -> None:
    """A rule for one version is about the others too, and shows the object as the webhook knows it."""
    where, exact = path(), path()
    versions = {"apiGroups": ["autoscaling"], "apiVersions": ["v1"]}
    seven = patch({"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 7})
    hook = webhook(
        hooks.at(where, lambda review: admission(review, **seven)), rule("horizontalpodautoscalers", **versions), name="a.example.com"
    )
    never = webhook(hooks.at(exact, deny), rule("horizontalpodautoscalers", **versions), name="b.example.com", matchPolicy="Exact")
    configure(vcp, "Mutating", hook, never)
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3, "metrics": [metric]}
    made = vcp.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": spec}).ok()
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 7
    request = hooks.reviews[where][0]["request"]
    assert request["kind"]["version"] == request["resource"]["version"] == "v1"
    assert request["requestKind"]["version"] == request["requestResource"]["version"] == "v2"
    assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
    assert hooks.reviews[exact] == []


def test_match_conditions(vcp: Client, hooks: WebhookServer) -> None:
    def conditions(*expressions: str) -> list[dict[str, str]]:
        return [{"name": f"c{index}", "expression": text} for index, text in enumerate(expressions)]

    client = hooks.at(path(), deny)
    configure(
        vcp,
        "Validating",
        webhook(client, matchConditions=conditions("request.operation == 'CREATE'", "object.metadata.name.startsWith('deny-')")),
        webhook(client, name="broken.example.com", matchConditions=conditions("object.data.missing == 'x'", "object.metadata.name == 'b'")),
        webhook(client, name="open.example.com", matchConditions=conditions("object.data.missing == 'x'"), failurePolicy="Ignore"),
    )
    user = "authorizer.group('').resource('configmaps').namespace('default').check('delete').allowed()"
    configure(vcp, "Validating", webhook(client, matchConditions=conditions(f"!{user}")), name="only-the-unauthorized")
    vcp.post(MAPS, config_map()).ok()
    vcp.post(MAPS, config_map("deny-1")).fails(418)
    message = vcp.post(MAPS, config_map("b")).fails(403)["message"]
    assert message.startswith("configmaps \"b\" is forbidden: expression 'object.data.missing == 'x'' resulted in error: ")


def test_configurations_are_not_subject_to_webhooks(vcp: Client, hooks: WebhookServer) -> None:
    configure(vcp, "Validating", webhook(hooks.at(path(), deny), rule("*", operations=("*",))))
    vcp.post(MAPS, config_map()).fails(418)
    vcp.delete(f"{CONFIGURATIONS}/validatingwebhookconfigurations/hooks").ok()
    vcp.post(MAPS, config_map()).ok()


def test_namespaces_are_in_themselves(vcp: Client, hooks: WebhookServer) -> None:
    where = path()
    client = hooks.at(where, allow)
    configure(vcp, "Validating", webhook(client, rule("namespaces", operations=("*",)), namespaceSelector={"matchLabels": {"a": "b"}}))
    vcp.post("/api/v1/namespaces", {"metadata": {"name": "other"}}).ok()
    vcp.post("/api/v1/namespaces", {"metadata": {"name": "mine", "labels": {"a": "b"}}}).ok()
    assert [(r["request"]["name"], r["request"]["namespace"]) for r in hooks.reviews[where]] == [("mine", "mine")]


# -- dry run
def test_dry_run(vcp: Client, hooks: WebhookServer) -> None:
    where = path()
    client = hooks.at(where, allow)
    configure(vcp, "Validating", webhook(client, sideEffects="NoneOnDryRun"))
    vcp.post(f"{MAPS}?dryRun=All", config_map()).ok()
    request = hooks.reviews[where][0]["request"]
    assert request["dryRun"] is True
    assert request["options"]["dryRun"] == ["All"]
    vcp.get(f"{MAPS}/c").fails(404)


# -- failures
def test_failure_policy(vcp: Client, hooks: WebhookServer) -> None:
    with_port = "https://127.0.0.1:1/nobody"
    configure(vcp, "Validating", webhook({"url": with_port}, rule("configmaps"), failurePolicy="Fail"), name="closed")
    status = vcp.post(MAPS, config_map()).fails(500, "InternalError")
    assert status["message"] == (
        'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: '
        'Post "https://127.0.0.1:1/nobody?timeout=10s": dial tcp: connect: connection refused'
    )
    vcp.delete(f"{CONFIGURATIONS}/validatingwebhookconfigurations/closed").ok()
    configure(vcp, "Mutating", webhook({"url": with_port}, failurePolicy="Ignore"))
    configure(vcp, "Validating", webhook({"url": with_port}, failurePolicy="Ignore"))
    vcp.post(MAPS, config_map()).ok()


def test_timeouts(vcp: Client, hooks: WebhookServer) -> None:
    def slow(review: Any) -> Any:
        time.sleep(3)
        return admission(review)

    where = path()
    configure(vcp, "Validating", webhook(hooks.at(where, slow), timeoutSeconds=1))
    message = vcp.post(MAPS, config_map()).fails(500, "InternalError")["message"]
    assert message.endswith(f'Post "{hooks.url(where)}?timeout=1s": context deadline exceeded')


def bad(**fields: Any) -> Callable[[Any], Any]:
    return lambda review: {**admission(review), **fields}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda review: admission(review, uid="other"), 'received invalid webhook response: expected response.uid="'),
        (bad(kind="Other"), "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=Other"),
        (bad(response=None), "received invalid webhook response: webhook response was absent"),
        (lambda review: admission(review, allowed="yes"), "cannot unmarshal"),
        (lambda review: (200, b"{", {}), "json parse error"),
        (lambda review: (200, b"[]", {}), "json parse error"),
        (lambda review: (500, b"oops", {}), 'an error on the server ("oops") has prevented the request from succeeding'),
        (lambda review: (404, b"", {}), "the server could not find the requested resource"),
        (lambda review: (200, b"x" * (9 * 1024 * 1024), {}), "the answer of the webhook is longer than"),
        (lambda review: (302, b"", {"location": "https://127.0.0.1:1/"}), "status code 302"),
    ],
)
def test_answers_that_are_none(vcp: Client, hooks: WebhookServer, answer: Any, text: str) -> None:
    configure(vcp, "Validating", webhook(hooks.at(path(), answer)))
    message = vcp.post(MAPS, config_map()).fails(500, "InternalError")["message"]
    assert message.startswith('Internal error occurred: failed calling webhook "hook.example.com": ')
    assert text in message


def test_the_certificate_is_checked(vcp: Client, hooks: WebhookServer, server: Server) -> None:
    client = hooks.at(path(), allow)
    configure(vcp, "Validating", webhook({"url": client["url"]}))
    message = vcp.post(MAPS, config_map()).fails(500)["message"]
    assert "tls: failed to verify certificate: x509: certificate signed by unknown authority" in message


# -- services
def service(vcp: Client, hooks: WebhookServer, address: str = "127.0.0.1") -> dict[str, Any]:
    """A Service without a selector, in namespace ``tools``, in front of the webhook server."""
    vcp.post("/api/v1/namespaces", {"metadata": {"name": "tools"}}).ok()
    spec = {"ports": [{"port": 443, "name": "https"}]}
    vcp.post("/api/v1/namespaces/tools/services", {"metadata": {"name": "hook"}, "spec": spec}).ok()
    endpoints = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": hooks.port}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    vcp.post("/apis/discovery.k8s.io/v1/namespaces/tools/endpointslices", endpoints).ok()
    return {"namespace": "tools", "name": "hook"}


def test_a_service_of_the_same_control_plane(two_vcps: tuple[Client, Client], hooks: WebhookServer, root: Client) -> None:
    mine, other = two_vcps
    where = path()
    hooks.at(where, deny)
    reference = service(mine, hooks)
    client = {"service": {**reference, "path": where}, "caBundle": hooks.ca_bundle}
    for vcp in two_vcps:
        configure(vcp, "Validating", webhook(client))
    mine.post(MAPS, config_map()).fails(418)
    assert 'service "hook" not found' in other.post(MAPS, config_map()).fails(500)["message"]
    assert len(hooks.reviews[where]) == 1
    for elsewhere in (other, root):
        elsewhere.get("/api/v1/namespaces/tools/services/hook").fails(404)
        elsewhere.get("/apis/discovery.k8s.io/v1/namespaces/tools/endpointslices/hook-1").fails(404)


def test_a_service_without_endpoints(vcp: Client, hooks: WebhookServer) -> None:
    reference = service(vcp, hooks)
    vcp.delete("/apis/discovery.k8s.io/v1/namespaces/tools/endpointslices/hook-1").ok()
    configure(vcp, "Validating", webhook({"service": reference, "caBundle": hooks.ca_bundle}))
    assert 'no endpoints available for service "hook"' in vcp.post(MAPS, config_map()).fails(500)["message"]
    configure(vcp, "Validating", webhook({"service": {**reference, "port": 444}}), name="a")
    assert 'no service port 444 found for service "hook"' in vcp.post(MAPS, config_map()).fails(500)["message"]


# -- isolation
def test_a_vcps_webhooks_see_that_vcp_alone(two_vcps: tuple[Client, Client], hooks: WebhookServer, root: Client) -> None:
    mine, other = two_vcps
    where = path()
    configure(mine, "Validating", webhook(hooks.at(where, deny), rule("*")))
    for _ in range(2):  # with cold and with warm caches
        mine.post(MAPS, config_map()).fails(418)
        other.post(MAPS, config_map()).ok()
        other.delete(f"{MAPS}/c").ok()
    name = unique()
    root.post(MAPS, config_map(name)).ok()
    root.delete(f"{MAPS}/{name}").ok()
    assert len(hooks.reviews[where]) == 2
    mine.delete(f"{CONFIGURATIONS}/validatingwebhookconfigurations/hooks").ok()
    configure(other, "Validating", webhook(hooks.at(where, deny)))
    mine.post(MAPS, config_map()).ok()
    other.post(MAPS, config_map()).fails(418)


# -- where a webhook may be
def test_the_server_itself_is_out_of_reach(vcp: Client, server: Server) -> None:
    """Loopback is allowed here, the server's own port never is."""
    configure(vcp, "Validating", webhook({"url": f"https://127.0.0.1:{server.port}/readyz"}))
    assert "not allowed by the server's outbound policy" in vcp.post(MAPS, config_map()).fails(500)["message"]


def test_what_is_refused_by_default(make_server: Callable[..., Server], hooks: WebhookServer) -> None:
    server = make_server().start()
    vcp = server.create_vcp("tenant")
    where = path()
    hooks.at(where, allow)
    places = [
        hooks.url(where),
        f"https://localhost:{hooks.port}{where}",
        f"https://[::ffff:127.0.0.1]:{hooks.port}{where}",
        f"https://[::1]:{hooks.port}{where}",
        "https://169.254.169.254/latest",
        "https://0.0.0.0/",
        "https://[64:ff9b::7f00:1]/",
        "https://vault/",
        f"https://127.0.0.1:{server.port}/",
    ]
    for number, url in enumerate(places):
        configure(vcp, "Validating", webhook({"url": url, "caBundle": hooks.ca_bundle}), name=f"c{number}")
        message = vcp.post(MAPS, config_map()).fails(500)["message"]
        assert "not allowed by the server's outbound policy" in message, (url, message)
        vcp.delete(f"{CONFIGURATIONS}/validatingwebhookconfigurations/c{number}").ok()
    reference = service(vcp, hooks)
    configure(vcp, "Validating", webhook({"service": {**reference, "path": where}, "caBundle": hooks.ca_bundle}))
    assert "not allowed" in vcp.post(MAPS, config_map()).fails(500)["message"]
    assert hooks.reviews[where] == []


def test_connections_are_used_again(vcp: Client, hooks: WebhookServer) -> None:
    configure(vcp, "Validating", webhook(hooks.at(path(), allow)))
    vcp.post(MAPS, config_map("first")).ok()
    before = hooks.connections
    for index in range(10):
        vcp.post(MAPS, config_map(f"c{index}")).ok()
    assert hooks.connections == before


# -- what the server's own controllers delete
def test_the_deletion_of_a_namespace_is_reviewed(vcp: Client, hooks: WebhookServer) -> None:
    where = path()
    vcp.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}).ok()
    for name in ("a", "b"):
        vcp.post("/api/v1/namespaces/n/configmaps", config_map(name)).ok()
    refused = {"a"}

    def judge(review: Any) -> Any:
        return deny(review) if review["request"]["name"] in refused else allow(review)

    configure(vcp, "Validating", webhook(hooks.at(where, judge), rule("configmaps", operations=("DELETE",))))
    vcp.delete("/api/v1/namespaces/n").ok()

    def failure() -> str:
        conditions = vcp.get("/api/v1/namespaces/n").ok()["status"].get("conditions") or []
        return next((c["message"] for c in conditions if c["type"] == "NamespaceDeletionContentFailure" and c["status"] == "True"), "")

    assert 'admission webhook "hook.example.com" denied the request: not today' in eventually(failure)
    eventually(lambda: vcp.get("/api/v1/namespaces/n/configmaps/b").code == 404)
    request = next(review["request"] for review in hooks.reviews[where] if review["request"]["name"] == "a")
    assert (request["operation"], request["oldObject"]["data"]) == ("DELETE", {"a": "1"})
    assert request["userInfo"] == {
        "username": "system:serviceaccount:kube-system:namespace-controller",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    }
    refused.clear()
    eventually(lambda: vcp.get("/api/v1/namespaces/n").code == 404, 30)
