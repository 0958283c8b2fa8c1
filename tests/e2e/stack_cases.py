# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack as its role renders it, over the matrix of variables; shared with the lane of real components."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from support.machine import ROOT

ROLE = ROOT / "roles" / "management_plane"
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


def render(folder: Path, cases: dict[str, tuple[str, Json]] | None = None) -> dict[str, list[Json]]:
    """The cases, by one run of Ansible on a copy of the role that only writes what it would apply."""
    cases = cases or CASES
    shutil.copytree(ROLE, folder / "roles" / "management_plane")
    for name in ("meta", "tasks"):
        shutil.rmtree(folder / "roles" / "management_plane" / name)
    (folder / "roles" / "management_plane" / "tasks").mkdir()
    task = {
        "ansible.builtin.copy": {
            "content": "{{ {'manifests': management_plane_manifests, 'images': management_plane_images} | to_json }}",
            "dest": f"{folder}/{{{{ case }}}}.json",
            "mode": "0600",
        }
    }
    (folder / "roles" / "management_plane" / "tasks" / "main.yml").write_text(yaml.safe_dump([{"name": "Write", **task}]))
    plays = []
    for case, (provider, variables) in cases.items():
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
    for case in cases:
        texts = json.loads((folder / f"{case}.json").read_text())["manifests"]
        documents = [document for text in texts for document in yaml.safe_load_all(text) if document]
        found[case] = [entry for document in documents for entry in (document["items"] if document["kind"] == "List" else [document])]
    return found


def listed_images(folder: Path, case: str) -> list[str]:
    """The images that the playbook ``images`` would list, of a case that was rendered into a folder."""
    images: list[str] = json.loads((folder / f"{case}.json").read_text())["images"]
    return images


def pods(documents: list[Json]) -> Iterator[tuple[str, Json]]:
    for document in documents:
        template = document.get("spec", {}).get("template") or document.get("spec", {}).get("jobTemplate", {}).get("spec", {}).get(
            "template"
        )
        if template:
            yield document["metadata"]["name"], template["spec"]


def path_of(document: Json) -> str:
    """The URL of an object; the plural of every kind of the stack is regular."""
    version, kind = document["apiVersion"], document["kind"].lower()
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + "es" if kind.endswith("s") else kind + "s"
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    return f"{base}/{f'namespaces/{namespace}/' if namespace else ''}{plural}/{document['metadata']['name']}"
