# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of the stack over the matrix of variables: the schemas of Kubernetes, Pod Security, a real server, golden files."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from stack_cases import CASES, ROLE, ROUTES, Json, path_of, pods, render
from support.client import Client
from support.machine import ROOT
from support.server import Server

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35"]
OWN_GROUPS = ("controlplane.kplane.dev/v1alpha1", "gateway.networking.k8s.io/v1alpha2")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    return render(tmp_path_factory.mktemp("render"))


@pytest.mark.parametrize("case", CASES)
def test_golden(rendered: dict[str, list[Json]], case: str) -> None:
    """A change to any manifest is a change to a file of this repository. To accept it: UPDATE_GOLDEN=1."""
    documents = [document for document in rendered[case] if document["kind"] != "CustomResourceDefinition"]
    text = yaml.safe_dump_all(documents, sort_keys=True, width=130)
    path = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas(rendered: dict[str, list[Json]], version: str) -> None:
    for case, documents in rendered.items():
        for document in documents:
            if document["apiVersion"] in OWN_GROUPS or document["kind"] == "CustomResourceDefinition":
                continue
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise AssertionError(f"{case}, {document['kind']} {document['metadata']['name']}: {error}") from error


@pytest.mark.parametrize("case", CASES)
def test_restricted(rendered: dict[str, list[Json]], case: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a read-only root beside it."""
    seen = 0
    for name, spec in pods(rendered[case]):
        seen += 1
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        allowed = {"name", "secret", "configMap", "emptyDir", "projected", "persistentVolumeClaim"}
        assert all(set(volume) <= allowed for volume in spec["volumes"]), name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"], name
            assert all("hostPort" not in port for port in container.get("ports", []))
    assert seen == (3 if case == "everything" else 4)


def test_no_key_of_an_authority_is_mounted(rendered: dict[str, list[Json]]) -> None:
    for documents in rendered.values():
        for _, spec in pods(documents):
            for volume in spec["volumes"]:
                secret = volume.get("secret", {})
                assert secret.get("secretName") != "kplane-etcd-ca"
                if secret.get("secretName") == "kplane-cluster-signing-keys":
                    assert [item["key"] for item in secret["items"]] == ["ca.crt"]


def test_how_requests_are_judged(rendered: dict[str, list[Json]]) -> None:
    for documents in rendered.values():
        spec = next(spec for name, spec in pods(documents) if name == "kplane-apiserver")
        args = spec["containers"][0]["args"]
        assert "--authorization-mode=RBAC" in args
        assert "--service-account-lookup=true" in args
        assert not any(arg.startswith("--client-ca-file") for arg in args)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(tmp_path_factory.mktemp("cluster") / "data").start()
    server.root.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", ROUTES).ok()
    yield server.root
    server.stop()


@pytest.mark.parametrize("case", CASES)
def test_a_real_server_takes_them(rendered: dict[str, list[Json]], cluster: Client, case: str) -> None:
    """Server-side apply with strict validation, and once more without a difference."""
    query = "?fieldManager=kplane.core&force=true&fieldValidation=Strict"
    order = {"Namespace": 0, "CustomResourceDefinition": 1}
    documents = sorted(rendered[case], key=lambda document: order.get(document["kind"], 2))
    first = {}
    for document in documents:
        answer = cluster.patch(path_of(document) + query, document, "apply-patch+yaml")
        assert "warning" not in answer.headers, answer.headers
        first[path_of(document)] = answer.ok()["metadata"]["resourceVersion"]
    for document in documents:
        again = cluster.patch(path_of(document) + query, document, "apply-patch+yaml").ok()
        assert again["metadata"]["resourceVersion"] == first[path_of(document)], path_of(document)
    for document in documents:
        if document["kind"] in ("Service", "Ingress", "TLSRoute", "CronJob", "StatefulSet"):
            cluster.delete(path_of(document))


def test_the_role_has_the_definitions_of_the_server() -> None:
    spec = importlib.util.spec_from_file_location("role_crds", ROOT / "tests/tools/role_crds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROLE / "files" / "crds.manifest").read_text() == module.rendered()


def test_every_variable_is_documented() -> None:
    """A variable that a template or a task reads is in the argument specification, and the other way round."""
    options = set(yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"])
    texts = "".join(path.read_text() for folder in ("vars", "tasks", "templates") for path in sorted((ROLE / folder).rglob("*.*")))
    used = set(re.findall(r"\bkplane_\w+", texts)) - {"kplane_management_plane", "kplane_stack"}
    assert used - options == set()
    assert options - used - {"kplane_server_install"} == set()
