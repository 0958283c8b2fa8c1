# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of everything that playbooks leave on a machine and in its cluster, without what differs from one run to the next."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import yaml
from support.server import client_of

from standins import state
from standins.world import World

Json = dict[str, Any]
#: What Secrets and ConfigMaps hold, by resource, namespace and name.
Contents = dict[tuple[str, str, str], dict[str, str]]

RESOURCES = (
    "/api/v1/namespaces",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/batch/v1/cronjobs",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/controlplane.kplane.dev/v1alpha1/controlplanes",
    "/apis/controlplane.kplane.dev/v1alpha1/controlplaneclasses",
    "/apis/controlplane.kplane.dev/v1alpha1/controlplaneendpoints",
)
_CHECKSUM = "core.kplane.dev/checksum-"
#: Annotations that say when something was done, or by which run.
_TIMES = (
    "controlplane.kplane.dev/source",
    "controlplane.kplane.dev/token-expires",
    "core.kplane.dev/retired",
    "core.kplane.dev/rotation",
    "core.kplane.dev/earlier",
)
#: PEM, as it is or in base64.
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----|LS0tLS1CRUdJTi[A-Za-z0-9+/=]+")
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences")
#: What neither the playbooks nor their modules made.
_OTHERS = ("state", "bin", "collections", ".ansible", "__pycache__")


def of_world(world: World) -> Json:
    """The files of the user, and all of the cluster."""
    found: Json = {str(path.relative_to(world.folder)): _file(path) for path in sorted(_files(world.folder))}
    cluster = world.cluster
    if cluster is None:
        return found
    found.update(of_cluster(cluster))
    found["cluster"] = {key: value for key, value in cluster.items() if key != "pid"}
    # A cluster that was made anew has another port and another authority of its own.
    text = re.sub(rf"(?<!\d){cluster['api_port']}(?!\d)", "11111", json.dumps(found))
    text = re.sub(r'"caSHA256": "[0-9a-f]+"', '"caSHA256": ""', text)
    pictured: Json = json.loads(_PEM.sub("PEM", text))
    return pictured


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two pictures are not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        missing = object()
        keys = sorted({*one, *other})
        return [line for key in keys for line in differences(one.get(key, missing), other.get(key, missing), f"{path} > {key}")]
    return [] if one == other else [f"{path}: {str(one)[:200]} and {str(other)[:200]}"]


def _files(folder: Path) -> list[Path]:
    paths = []
    for directory, inner, names in os.walk(folder):
        relative = Path(directory).relative_to(folder)
        inner[:] = [name for name in inner if name not in _OTHERS and not name.startswith("ansible")]
        # What Ansible leaves where temporary files are is not ours to answer for.
        paths += [Path(directory, name) for name in [*names, *inner] if relative != Path("tmp") or name.startswith("kplane")]
    return paths


def _file(path: Path) -> Any:
    if path.is_dir():
        return "directory"
    document = yaml.safe_load(path.read_text()) if path.name.startswith(("kubeconfig", "config")) else "file"
    return json.loads(re.sub(r'("(?:token|certificate-authority-data)": )"[^"]+"', r'\1"..."', json.dumps(document)))


def secrets_of(world: World) -> Json:
    """The content of the Secrets of the stack."""
    assert world.cluster is not None
    root = client_of(state.kubeconfig(world.cluster, "it"))
    return {item["metadata"]["name"]: item["data"] for item in root.get("/api/v1/namespaces/kplane-system/secrets").ok()["items"]}


def of_cluster(cluster: Json) -> Json:
    """All objects of the cluster, by path and name."""
    root = client_of(state.kubeconfig(cluster, "it"))
    listed = {path: answer.json["items"] for path in RESOURCES if (answer := root.get(path)).code == 200}
    contents: Contents = {
        (path.rpartition("/")[2], item["metadata"]["namespace"], item["metadata"]["name"]): item.get("data") or {}
        for path in ("/api/v1/secrets", "/api/v1/configmaps")
        for item in listed[path]
    }
    found: Json = {}
    for path, items in listed.items():
        for item in items:
            metadata = item["metadata"]
            found[f"{path} {metadata.get('namespace', '')} {metadata['name']}"] = _object(item, contents)
    return found


def _object(item: Json, contents: Contents) -> Json:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _VOLATILE}
    if "annotations" in metadata:
        metadata["annotations"] = {key: "..." if key in _TIMES else value for key, value in metadata["annotations"].items()}
    shown = {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
    if "clusterIP" in (item.get("spec") or {}) and item["spec"]["clusterIP"] != "None":
        shown["spec"] = {**item["spec"], "clusterIP": "...", "clusterIPs": ["..."]}
    if "type" in item:
        shown["data"] = {key: _shape(value) for key, value in (item.get("data") or {}).items()}
    annotations = (((item.get("spec") or {}).get("template") or {}).get("metadata") or {}).get("annotations") or {}
    namespace = metadata.get("namespace", "")
    if annotations:
        verdicts = {
            key: _current(value, namespace, key, item, contents) if key.startswith(_CHECKSUM) else value
            for key, value in annotations.items()
        }
        template = item["spec"]["template"]
        pods = {**template, "metadata": {**template["metadata"], "annotations": verdicts}}
        shown["spec"] = {**item["spec"], "template": pods}
    return shown


def _shape(value: str) -> str:
    """How many of which parts a secret has; their content is another one in each world."""
    text = base64.b64decode(value).decode(errors="replace")
    return ", ".join(re.findall(r"-----BEGIN ([A-Z ]+)-----", text)) or f"{len(text.splitlines())} lines"


def _current(digest: str, namespace: str, key: str, item: Json, contents: Contents) -> str:
    """Whether pods were rolled for what their Secrets and settings hold now."""
    name = key.removeprefix(_CHECKSUM)
    secret = contents.get(("secrets", namespace, name))
    data = {part: base64.b64decode(value).decode() for part, value in secret.items()} if secret else contents["configmaps", namespace, name]
    for volume in item["spec"]["template"]["spec"]["volumes"]:
        if volume.get("secret", {}).get("secretName") == name and volume["secret"].get("items"):
            data = {entry["key"]: data[entry["key"]] for entry in volume["secret"]["items"]}
    return "current" if hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest() == digest else "old"
