# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _stack_objects as stack
from ansible_collections.kplane.core.plugins.module_utils import _stack_wait
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError


def workload(component, image="example/it:v1.0.0", kind="Deployment", **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": component, "namespace": "ns", "labels": {stack.COMPONENT_LABEL: component}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "main", "image": image}], **spec}}},
    }


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}
CLASS = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": "starter"}}
DEFINITION = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a.b"}}


def test_the_order():
    objects = stack.parse([CLASS, workload("operator"), workload("apiserver"), workload("etcd", kind="StatefulSet"), DEFINITION, NAMESPACE])
    assert [obj.name for obj in objects] == ["ns", "a.b", "etcd", "apiserver", "operator", "starter"]
    assert len({stack.phase(obj) for obj in objects}) == 6


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("kind: Namespace\n", "not a Kubernetes object with a name"),
        ({**NAMESPACE, "kind": "Pod"}, "no part of the stack"),
        ({**NAMESPACE, "metadata": {"name": "a", "namespace": "b"}}, "has no namespace"),
        ({**workload("etcd"), "metadata": {"name": "etcd"}}, "needs a namespace"),
    ],
)
def test_what_is_no_stack(manifest, problem):
    with pytest.raises(KplaneError, match=problem):
        stack.parse([manifest])


def test_lists_and_texts():
    text = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n---\n"
    objects = stack.parse([text, {"apiVersion": "v1", "kind": "List", "items": [DEFINITION]}])
    assert [obj.key for obj in objects] == ["v1/Namespace/ns", "apiextensions.k8s.io/v1/CustomResourceDefinition/a.b"]


def test_an_object_twice():
    with pytest.raises(KplaneError, match="again"):
        stack.parse([NAMESPACE, NAMESPACE])


@pytest.mark.parametrize(
    ("image", "version", "repository"),
    [
        ("quay.io/coreos/etcd:v3.5.13", (3, 5, 13), "etcd"),
        ("registry:5000/x", None, "x"),
        ("registry:5000/x:v1.2", (1, 2), "x"),
        ("registry:5000/a/x:v1.2.3-rc.1@sha256:abcd", (1, 2, 3), "x"),
        ("x@sha256:abcd", None, "x"),
        ("x:latest", None, "x"),
    ],
)
def test_images(image, version, repository):
    assert stack.version_of(image) == version
    assert stack.repository_of(image) == repository


def test_downgrades():
    before = {"etcd": "a/etcd:v3.5.13", "apiserver": "a/apiserver:v0.0.10", "operator": "a/operator:v1.0"}
    after = {"etcd": "mirror:5000/etcd:v3.5.9", "apiserver": "a/apiserver:v0.0.11", "operator": "b/another:v0.1"}
    assert stack.downgrades(before, after) == ["etcd from a/etcd:v3.5.13 to mirror:5000/etcd:v3.5.9"]
    assert stack.downgrades({}, after) == []


def test_pods_follow_what_they_mount():
    volumes = [
        {"name": "a", "secret": {"secretName": "whole"}},
        {"name": "b", "secret": {"secretName": "part", "items": [{"key": "ca.crt", "path": "x"}]}},
        {"name": "c", "configMap": {"name": "settings"}},
        {"name": "d", "emptyDir": {}},
    ]
    (obj,) = stack.parse([workload("etcd", volumes=volumes)])
    asked = []

    def digests(kind, name, keys):
        asked.append((kind, name, keys))
        return "" if name == "settings" else "digest of " + name

    annotations = stack.with_checksums(obj, digests).body["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"core.kplane.dev/checksum-whole": "digest of whole", "core.kplane.dev/checksum-part": "digest of part"}
    assert asked == [("Secret", "whole", None), ("Secret", "part", frozenset({"ca.crt"})), ("ConfigMap", "settings", None)]
    assert "metadata" not in obj.body["spec"]["template"]


@pytest.mark.parametrize(
    ("status", "serves"),
    [
        ({}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}, True),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2}, False),
        ({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, False),
    ],
)
def test_when_a_workload_serves(status, serves):
    (obj,) = stack.parse([workload("apiserver")])
    live = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert _stack_wait.serves(obj, live) is serves
    assert _stack_wait.serves(obj, None) is False


def test_pods_are_quoted():
    pod = {
        "metadata": {"name": "p"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}],
            "containerStatuses": [
                {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}},
                {
                    "name": "b",
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 1, "message": "bad flag"}},
                },
                {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}},
            ],
        },
    }
    assert list(_stack_wait._pod_words(pod)) == [
        "pod p is not scheduled: 0/1 nodes are available",
        "pod p, container a: ImagePullBackOff: not found",
        "pod p, container b: CrashLoopBackOff",
        "pod p, container b ended with code 1: bad flag",
    ]
