# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Webhooks and policies see what is answered without being stored: tokens, reviews, bindings, evictions, scales, and connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.client import Client
from support.server import Server, unique
from support.webhook import WebhookServer, admission, patch

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
DEFAULT = "/api/v1/namespaces/default"
TOKEN = f"{DEFAULT}/serviceaccounts/default/token"
SELF_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
EVERY = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose control planes may call webhooks on loopback."""
    running = Server(tmp_path_factory.mktemp("unstored") / "data", options=("--outbound-allow", "127.0.0.0/8"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    made = WebhookServer(tmp_path_factory.mktemp("hooks"))
    yield made
    made.close()


def configure(vcp: Client, kind: str, client: dict[str, Any], **fields: Any) -> None:
    hook = {
        "name": f"{kind.lower()}.example.com",
        "clientConfig": client,
        "rules": [EVERY],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"{kind}WebhookConfiguration", "metadata": {"name": kind.lower()}}
    vcp.post(f"{CONFIGURATIONS}/{kind.lower()}webhookconfigurations", {**body, "webhooks": [hook]}).ok()


def judged(vcp: Client, expression: str, *resources: str, operation: str = "CREATE") -> None:
    rules = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": [operation], "resources": list(resources)}]
    validations = [{"expression": expression, "message": "not here"}]
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": validations}
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "p"}}
    vcp.post(f"{CONFIGURATIONS}/validatingadmissionpolicies", {**head, "kind": "ValidatingAdmissionPolicy", "spec": spec}).ok()
    binding = {**head, "kind": "ValidatingAdmissionPolicyBinding", "spec": {"policyName": "p", "validationActions": ["Deny"]}}
    vcp.post(f"{CONFIGURATIONS}/validatingadmissionpolicybindings", binding).ok()


def pod(vcp: Client, name: str = "p") -> str:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    vcp.post(f"{DEFAULT}/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).ok()
    return f"{DEFAULT}/pods/{name}"


def allow(review: Any) -> Any:
    return admission(review)


def refuse(review: Any) -> Any:
    return admission(review, allowed=False, status={"message": "not today", "code": 403})


def access(verb: str = "get") -> dict[str, Any]:
    spec = {"resourceAttributes": {"verb": verb, "resource": "secrets", "namespace": "default"}}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {}, "spec": spec}


def test_a_token_is_judged_as_it_would_be_issued(vcp: Client, hooks: WebhookServer) -> None:
    changing, judging = "/" + unique("m"), "/" + unique("v")
    shorten = patch({"op": "replace", "path": "/spec/expirationSeconds", "value": 700})
    configure(vcp, "Mutating", hooks.at(changing, lambda review: admission(review, **shorten)))
    configure(vcp, "Validating", hooks.at(judging, lambda review: admission(review, warnings=["a token goes out"])))
    answer = vcp.post(
        f"{TOKEN}?dryRun=All", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 900}}
    )
    issued = answer.ok()
    assert issued["spec"]["expirationSeconds"] == 700
    assert answer.headers["warning"] == '299 - "a token goes out"'
    (request,) = (review["request"] for review in hooks.reviews[judging])
    assert (request["operation"], request["subResource"], request["dryRun"]) == ("CREATE", "token", True)
    assert request["kind"] == {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "serviceaccounts"}
    assert (request["name"], request["namespace"]) == ("default", "default")
    shown = request["object"]
    assert (shown["metadata"]["name"], shown["spec"]["audiences"]) == ("default", issued["spec"]["audiences"])
    assert not (shown.get("status") or {}).get("token"), "no webhook gets to see a token"


def test_a_refused_token_is_not_issued(vcp: Client, hooks: WebhookServer) -> None:
    configure(vcp, "Validating", hooks.at("/" + unique("v"), refuse))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    refused = vcp.post(TOKEN, body).fails(403)
    assert refused["message"] == 'admission webhook "validating.example.com" denied the request: not today'


def test_a_policy_judges_tokens(vcp: Client) -> None:
    judged(vcp, "object.spec.expirationSeconds <= 900 && request.kind.kind == 'TokenRequest'", "serviceaccounts/token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 900}}
    vcp.post(TOKEN, body).ok()
    assert vcp.post(TOKEN, {**body, "spec": {"expirationSeconds": 901}}).fails(422)["message"].endswith("not here")


def test_reviews_are_for_webhooks_but_not_for_policies(vcp: Client, hooks: WebhookServer) -> None:
    """A policy about them could break a cluster, so upstream leaves them out."""
    judged(vcp, "false", "*")
    assert vcp.post(SELF_REVIEW, access()).ok()["status"]["allowed"] is True
    where = "/" + unique("v")
    configure(
        vcp,
        "Validating",
        hooks.at(where, lambda review: refuse(review) if "spec" in (review["request"]["object"] or {}) else allow(review)),
    )
    for path, kind in (
        (SELF_REVIEW, "SelfSubjectAccessReview"),
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "SubjectAccessReview"),
        ("/apis/authentication.k8s.io/v1/tokenreviews", "TokenReview"),
    ):
        spec = {"token": "x"} if kind == "TokenReview" else {**access()["spec"], **({"user": "u"} if kind == "SubjectAccessReview" else {})}
        group = path.split("/")[2]
        vcp.post(path, {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}).fails(403)
    assert [review["request"]["kind"]["kind"] for review in hooks.reviews[where]] == [
        "SelfSubjectAccessReview",
        "SubjectAccessReview",
        "TokenReview",
    ]
    assert all("name" not in review["request"] for review in hooks.reviews[where])


def test_a_review_may_be_changed(vcp: Client, hooks: WebhookServer) -> None:
    verb = patch({"op": "replace", "path": "/spec/resourceAttributes/verb", "value": "watch"})
    configure(vcp, "Mutating", hooks.at("/" + unique("m"), lambda review: admission(review, **verb)))
    assert vcp.post(SELF_REVIEW, access()).ok()["spec"]["resourceAttributes"]["verb"] == "watch"


def test_bindings_evictions_and_scales_on_dry_run(vcp: Client, hooks: WebhookServer) -> None:
    path, where = pod(vcp), "/" + unique("v")
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    vcp.post(deployments, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}).ok()
    configure(vcp, "Validating", hooks.at(where, allow))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    vcp.post(f"{path}/binding?dryRun=All", binding).ok()
    vcp.post(f"{DEFAULT}/bindings?dryRun=All", binding).ok()
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    vcp.post(f"{path}/eviction?dryRun=All", eviction).ok()
    vcp.post(f"{path}/eviction", {**eviction, "deleteOptions": {"dryRun": ["All"]}}).ok()
    vcp.patch(f"{deployments}/d/scale?dryRun=All", {"spec": {"replicas": 7}}).ok()
    assert "nodeName" not in vcp.get(path).ok()["spec"]
    assert vcp.get(f"{deployments}/d").ok()["spec"]["replicas"] == 1
    asked = [(r["request"]["kind"]["kind"], r["request"].get("subResource"), r["request"]["dryRun"]) for r in hooks.reviews[where]]
    assert asked == [
        ("Binding", "binding", True),
        ("Binding", None, True),
        ("Eviction", "eviction", True),
        ("Eviction", "eviction", True),
        ("Scale", "scale", True),
    ]


def test_a_policy_judges_the_scale_alone(vcp: Client) -> None:
    judged(vcp, "object.kind == 'Scale' && request.kind.kind == 'Scale' && object.spec.replicas < 5", "*/scale", operation="UPDATE")
    controllers = f"{DEFAULT}/replicationcontrollers"
    spec = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}
    vcp.post(controllers, {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "r"}, "spec": spec}).ok()
    vcp.patch(f"{controllers}/r/scale", {"spec": {"replicas": 4}}).ok()
    vcp.patch(f"{controllers}/r/scale", {"spec": {"replicas": 5}}).fails(422)


def test_connections_are_judged_before_they_fail(vcp: Client, hooks: WebhookServer) -> None:
    path, where = pod(vcp), "/" + unique("v")
    configure(vcp, "Validating", hooks.at(where, allow))
    command = f"{path}/exec?command=ls&command=-l&stdin=1&stdout=true&tty=false&container=c"
    for method in ("GET", "POST"):
        assert vcp.request(method, command).fails(400)["message"] == "pod p does not have a host assigned"
    vcp.get(f"{path}/portforward?ports=80&ports=443").fails(400)
    vcp.get(f"{path}/proxy/a/b/").fails(400)
    vcp.get(f"{path}/log").fails(400)  # a read, which nobody is asked about
    asked = [review["request"] for review in hooks.reviews[where]]
    assert {(r["operation"], r["name"], r["namespace"], r["dryRun"], r["options"], r["oldObject"]) for r in asked} == {
        ("CONNECT", "p", "default", False, None, None)
    }
    executed = {"kind": "PodExecOptions", "apiVersion": "v1", "stdin": True, "stdout": True, "container": "c", "command": ["ls", "-l"]}
    assert [r["object"] for r in asked] == [
        executed,
        executed,
        {"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 443]},
        {"kind": "PodProxyOptions", "apiVersion": "v1", "path": "/a/b/"},
    ]


def test_what_is_refused_is_not_connected(vcp: Client) -> None:
    path = pod(vcp)
    judged(vcp, "!('sh' in object.command)", "pods/exec", operation="CONNECT")
    assert vcp.get(f"{path}/exec?command=sh").fails(422)["message"].endswith("not here")
    vcp.get(f"{path}/exec?command=ls").fails(400)
    vcp.get(f"{DEFAULT}/pods/none/exec?command=ls").fails(404)
    assert vcp.get(f"{path}/exec?command=ls&dryRun=All").fails(400)["message"] == "dryRun is not supported"


def test_a_proxied_request_never_touches_the_object(vcp: Client) -> None:
    """DELETE and PUT of ``pods/p/proxy`` are for what the pod serves, and no verb on the pod."""
    path = pod(vcp)
    uid = vcp.get(path).ok()["metadata"]["uid"]
    for method in ("DELETE", "PUT", "PATCH", "POST", "GET"):
        vcp.request(method, f"{path}/proxy/api", {"kind": "Pod"} if method != "GET" else None).fails(400)
    assert vcp.get(path).ok()["metadata"]["uid"] == uid
