# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import NotFound
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_applyset, _fleet_seed

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}}


class Answer:
    def __init__(self, document):
        self.document = document

    def json(self):
        return self.document


class Vcp:
    """As much of a client as a seed uses: it keeps what was applied, in the order in which that was done."""

    def __init__(self, fail_at=""):
        self.objects = {}
        self.fail_at = fail_at
        self.done = []

    def request(self, method, path):
        assert method == "GET"
        assert path == "/api/v1"
        kinds = (("configmaps", "ConfigMap", True), ("secrets", "Secret", True), ("namespaces", "Namespace", False))
        return Answer({"resources": [{"name": name, "kind": kind, "namespaced": namespaced} for name, kind, namespaced in kinds]})

    def get(self, resource, name, namespace=""):
        try:
            return self.objects[resource.kind, namespace, name]
        except KeyError:
            raise NotFound(name, code=404) from None

    def patch(self, resource, name, body, namespace="", content_type="", force=False):
        if name == self.fail_at:
            raise KeyboardInterrupt
        self.done.append(("apply", name))
        kept = json.loads(json.dumps(body))
        kept["metadata"]["namespace"] = namespace
        kept["metadata"]["uid"] = "uid-" + name
        kept["metadata"]["managedFields"] = [{"manager": "kplane.core", "operation": "Apply"}]
        self.objects[resource.kind, namespace, name] = kept

    def list_all(self, resource, label_selector=""):
        key, value = label_selector.split("=")
        found = [obj for (kind, _namespace, _name), obj in self.objects.items() if kind == resource.kind]
        return [obj for obj in found if obj["metadata"].get("labels", {}).get(key) == value], "1"

    def delete(self, resource, name, namespace="", uid=""):
        assert self.objects.pop((resource.kind, namespace, name))["metadata"]["uid"] == uid
        self.done.append(("delete", name))


def sow(vcp, *documents, prune=True, fresh=False):
    made = _fleet_applyset.Seed(vcp, documents, _fleet_seed.Discovery()).sow(False, prune, fresh)
    return [str(member) for member in made]


def document(kind, name, namespace=None):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def parent(vcp):
    return vcp.get(_fleet_applyset._CONFIG_MAPS, "kplane-seed", "kube-system")["metadata"]


def test_the_vocabulary_of_the_proposal():
    vcp = Vcp()
    sow(vcp, MAP, document("Secret", "s", "apps"), fresh=True)
    digest = hashlib.sha256(b"kplane-seed.kube-system.ConfigMap.").digest()
    identity = "applyset-" + base64.urlsafe_b64encode(digest).decode().rstrip("=") + "-v1"
    assert parent(vcp)["labels"]["applyset.kubernetes.io/id"] == identity
    annotations = parent(vcp)["annotations"]
    assert annotations["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap,Secret"
    assert annotations["applyset.kubernetes.io/additional-namespaces"] == "apps,default"
    assert annotations["applyset.kubernetes.io/tooling"] == "kplane.core/v1"
    labels = vcp.objects["ConfigMap", "default", "a"]["metadata"]["labels"]
    assert labels == {"x": "y", "applyset.kubernetes.io/part-of": identity}
    assert vcp.done[0] == ("apply", "kplane-seed")


def test_what_others_need_is_deleted_last():
    vcp = Vcp()
    sow(vcp, document("Namespace", "n"), document("ConfigMap", "b", "n"), MAP)
    assert sow(vcp, MAP) == ["ConfigMap n/b", "Namespace n"]
    assert vcp.done[-3:] == [("delete", "b"), ("delete", "n"), ("apply", "kplane-seed")]
    assert parent(vcp)["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap"


def test_without_the_word_nothing_goes_and_nothing_is_forgotten():
    vcp = Vcp()
    sow(vcp, document("Secret", "s"), MAP)
    assert sow(vcp, MAP, prune=False) == []
    assert sow(vcp, MAP) == ["Secret default/s"]


def test_a_run_that_is_interrupted_leaves_nothing_that_the_next_does_not_find():
    vcp = Vcp(fail_at="t")
    sow(vcp, MAP)
    with pytest.raises(KeyboardInterrupt):
        sow(vcp, document("Secret", "s"), document("Secret", "t"))
    vcp.fail_at = ""
    assert sow(vcp, MAP) == ["Secret default/s"]
