# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real kube-apiserver as the management cluster: everything that the role renders, and the Pods that would come of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from components import KubeApiServer
from stack_cases import CASES, ROUTES, Json, path_of, render
from support.client import Client, eventually

QUERY = "?fieldManager=kplane.core&force=true&fieldValidation=Strict"
#: Definitions and the namespace come before what is of them.
ORDER = {"Namespace": 0, "CustomResourceDefinition": 1}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/controlplane.kplane.dev/v1alpha1"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    found = render(tmp_path_factory.mktemp("render"))
    return {case: sorted(entries, key=lambda entry: ORDER.get(entry["kind"], 2)) for case, entries in found.items()}


def established(client: Client, name: str) -> None:
    def answer() -> bool:
        status = client.get(f"{DEFINITIONS}/{name}").ok().get("status", {})
        return any((entry["type"], entry["status"]) == ("Established", "True") for entry in status.get("conditions") or [])

    eventually(answer, 60, name)


@pytest.fixture(scope="module")
def cluster(kube: KubeApiServer) -> Client:
    """With the definition of TLSRoutes, which is not a part of Kubernetes."""
    kube.admin.post(DEFINITIONS, ROUTES).ok()
    established(kube.admin, ROUTES["metadata"]["name"])
    return kube.admin


def applied(client: Client, document: Json) -> Json:
    """By server-side apply with strict validation; a warning is a failure: of Pod Security, of a duplicate, of an API that ends."""
    answer = client.patch(path_of(document) + QUERY, document, "apply-patch+yaml")
    assert "warning" not in answer.headers, answer.headers
    found: Json = answer.ok()
    if document["kind"] == "CustomResourceDefinition":
        established(client, document["metadata"]["name"])
    return found


@pytest.mark.parametrize("case", CASES)
def test_everything_is_taken_and_taken_once(documents: dict[str, list[Json]], cluster: Client, case: str) -> None:
    """And a second time nothing changes."""
    for document in documents[case]:
        applied(cluster, document)
    for document in documents[case]:
        before = cluster.get(path_of(document)).ok()["metadata"]["resourceVersion"]
        assert applied(cluster, document)["metadata"]["resourceVersion"] == before, path_of(document)
    for document in documents[case]:
        if document["kind"] in ("Service", "Ingress", "TLSRoute", "CronJob", "StatefulSet"):
            cluster.delete(path_of(document))


def pods(entries: list[Json]) -> list[Json]:
    found = []
    for document in entries:
        spec = document.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            metadata = {**template["metadata"], "name": f"{document['metadata']['name']}-0", "namespace": document["metadata"]["namespace"]}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template["spec"])}
            claims = [entry["metadata"]["name"] for entry in spec.get("volumeClaimTemplates", [])]
            pod["spec"]["volumes"] += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
            found.append(pod)
    return found


@pytest.mark.parametrize("case", CASES)
def test_its_pods_are_admitted(documents: dict[str, list[Json]], cluster: Client, case: str) -> None:
    """By the real admission: the namespace enforces the restricted Pod Security Standard."""
    entries = documents[case]
    namespace = next(entry for entry in entries if entry["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    applied(cluster, namespace)
    base = f"/api/v1/namespaces/{namespace['metadata']['name']}"
    # No controller makes this account here.
    cluster.apply(f"{base}/serviceaccounts/default", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}).ok()
    for entry in entries:
        if entry["kind"] == "ServiceAccount":
            applied(cluster, entry)
    made = pods(entries)
    assert len(made) == (3 if case == "everything" else 4)
    for pod in made:
        answer = cluster.post(f"{base}/pods?dryRun=All&fieldValidation=Strict", pod)
        assert "warning" not in answer.headers, answer.headers
        answer.ok()
    worse = copy.deepcopy(made[0])
    worse["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    status = cluster.post(f"{base}/pods?dryRun=All", worse).fails(403, "Forbidden")
    assert 'violates PodSecurity "restricted' in status["message"]


WRONG: dict[str, tuple[str, Json, str]] = {
    "mode": ("controlplanes", {"spec": {"mode": "Other"}}, "spec.mode"),
    "path": ("controlplanes", {"spec": {"virtual": {"clusterPath": "Not/A/Label"}}}, "clusterPath"),
    "reserved path": ("controlplanes", {"spec": {"virtual": {"clusterPath": "root"}}}, "the path is reserved"),
    "policy": ("controlplanes", {"spec": {"deletionPolicy": "Maybe"}}, "deletionPolicy"),
    "endpoint": ("controlplaneendpoints", {"spec": {"endpoint": "not a url"}}, "endpoint"),
}
KINDS = {"controlplanes": "ControlPlane", "controlplaneendpoints": "ControlPlaneEndpoint"}


@pytest.fixture(scope="module")
def definitions(documents: dict[str, list[Json]], cluster: Client) -> None:
    """CEL rules of a definition pass the cost check of the API server, else it is not taken; no condition speaks of its schema."""
    for document in documents["kind"]:
        if document["kind"] == "CustomResourceDefinition":
            applied(cluster, document)
            conditions = cluster.get(path_of(document)).ok()["status"]["conditions"]
            assert {entry["type"] for entry in conditions if entry["status"] == "True"} == {"NamesAccepted", "Established"}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.usefixtures("definitions")
def test_definitions_refuse(cluster: Client, wrong: str) -> None:
    """The validation that upstream's definitions lack, by the real CEL."""
    plural, body, field = WRONG[wrong]
    document = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": KINDS[plural], "metadata": {"name": "x"}, **body}
    status = cluster.post(f"{GROUP}/{plural}?dryRun=All", document).fails(422, "Invalid")
    assert field in status["message"]


@pytest.mark.usefixtures("definitions")
def test_definitions_take_what_the_modules_send(cluster: Client) -> None:
    document: dict[str, Any] = {
        "apiVersion": "controlplane.kplane.dev/v1alpha1",
        "kind": "ControlPlane",
        "metadata": {"name": "demo"},
        "spec": {"classRef": {"name": "starter"}, "endpointRef": {"name": "demo-endpoint"}, "mode": "Virtual", "deletionPolicy": "Destroy"},
    }
    cluster.post(f"{GROUP}/controlplanes?fieldValidation=Strict", document).ok()
    status = cluster.patch(f"{GROUP}/controlplanes/demo", {"spec": {"mode": "Dedicated"}}).fails(422, "Invalid")
    assert "mode is immutable" in status["message"]
    cluster.delete(f"{GROUP}/controlplanes/demo").ok()
