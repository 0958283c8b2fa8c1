# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of the stack over the matrix of variables: the schemas of Kubernetes, Pod Security, a real server, golden files."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.client import Client
from support.machine import ROOT
from support.server import Server

GOLDEN = Path(__file__).parent / "golden"
ROLE = ROOT / "roles" / "management_plane"
VERSIONS = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35"]
OWN_GROUPS = ("controlplane.kplane.dev/v1alpha1", "gateway.networking.k8s.io/v1alpha2")
Json = dict[str, Any]

EXTERNAL = {"kplane_external_host": "kplane.example.com", "kplane_external_port": 443}
PLACED = {"node_selector": {"pool": "control"}, "tolerations": [{"key": "control", "operator": "Exists"}], "annotations": {"team": "blue"}}
CASES: dict[str, tuple[str, Json]] = {
    "kind": ("kind", {}),
    "high-availability": ("kubeconfig", {**EXTERNAL, "kplane_high_availability": True, "kplane_way_in": "LoadBalancer"}),
    "private-registry": (
        "kubeconfig",
        {
            **EXTERNAL,
            "kplane_etcd_image": "registry.example.com:5000/etcd:v3.5.13",
            "kplane_apiserver_image": "registry.example.com:5000/kplane/apiserver@sha256:" + "a" * 64,
            "kplane_operator_image": "registry.example.com:5000/kplane/operator:v0.0.15",
            "kplane_image_pull_secrets": ["registry"],
            "kplane_image_pull_policy": "Always",
            "kplane_namespace": "planes",
        },
    ),
    "ingress": (
        "kubeconfig",
        {
            **EXTERNAL,
            "kplane_way_in": "Ingress",
            "kplane_ingress_class": "haproxy",
            "kplane_way_in_annotations": {"haproxy.org/ssl-passthrough": "true"},
        },
    ),
    "gateway": (
        "kubeconfig",
        {**EXTERNAL, "kplane_way_in": "Gateway", "kplane_gateway": {"name": "edge", "namespace": "edge", "sectionName": "tls"}},
    ),
    "everything": (
        "kubeconfig",
        {
            **EXTERNAL,
            **{f"kplane_{part}_{key}": value for part in ("etcd", "apiserver", "operator") for key, value in PLACED.items()},
            **{f"kplane_{part}_extra_args": ["--log-level=warn: 1"] for part in ("etcd", "apiserver", "operator")},
            "kplane_node_port": 32000,
            "kplane_etcd_storage_class": "fast",
            "kplane_etcd_storage_size": "50Gi",
            "kplane_etcd_defragment_schedule": "",
            "kplane_operator_etcd_plaintext": False,
            "kplane_cluster_domain": "example.internal",
        },
    ),
}
ROUTES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "tlsroutes.gateway.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"},
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "TLSRoute", "plural": "tlsroutes", "singular": "tlsroute", "listKind": "TLSRouteList"},
        "versions": [
            {
                "name": "v1alpha2",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    """All cases, by one run of Ansible on a copy of the role that only writes what it would apply."""
    folder = tmp_path_factory.mktemp("render")
    shutil.copytree(ROLE, folder / "roles" / "management_plane")
    for name in ("meta", "tasks"):
        shutil.rmtree(folder / "roles" / "management_plane" / name)
    (folder / "roles" / "management_plane" / "tasks").mkdir()
    task = {
        "ansible.builtin.copy": {
            "content": "{{ management_plane_manifests | to_json }}",
            "dest": f"{folder}/{{{{ case }}}}.json",
            "mode": "0600",
        }
    }
    (folder / "roles" / "management_plane" / "tasks" / "main.yml").write_text(yaml.safe_dump([{"name": "Write", **task}]))
    plays = []
    for case, (provider, variables) in CASES.items():
        result = {"management_plane_result": {"provider": provider, "plane": {"port": 8443}}}
        role = {"role": "management_plane", "vars": {"case": case, **result, **variables}}
        plays.append({"name": case, "hosts": "localhost", "gather_facts": False, "roles": [role]})
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "play.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for case in CASES:
        texts = json.loads((folder / f"{case}.json").read_text())
        documents = [document for text in texts for document in yaml.safe_load_all(text) if document]
        found[case] = [entry for document in documents for entry in (document["items"] if document["kind"] == "List" else [document])]
    return found


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


def pods(documents: list[Json]) -> Iterator[tuple[str, Json]]:
    for document in documents:
        template = document.get("spec", {}).get("template") or document.get("spec", {}).get("jobTemplate", {}).get("spec", {}).get(
            "template"
        )
        if template:
            yield document["metadata"]["name"], template["spec"]


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


def path_of(document: Json) -> str:
    """The URL of an object; the plural of every kind of the stack is regular."""
    version, kind = document["apiVersion"], document["kind"].lower()
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + "es" if kind.endswith("s") else kind + "s"
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    return f"{base}/{f'namespaces/{namespace}/' if namespace else ''}{plural}/{document['metadata']['name']}"


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
