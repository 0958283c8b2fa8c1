# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _pki, _stack, _stack_objects, _stack_wait
from ansible_collections.kplane.core.plugins.module_utils._errors import NotFound, WaitTimeout

SERVING = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}


def workload(image, status=None):
    """The StatefulSet of etcd, as declared or as found."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "etcd", "namespace": "ns", "generation": 1, "labels": {_stack_objects.COMPONENT_LABEL: "etcd"}},
        "spec": {"template": {"spec": {"containers": [{"name": "etcd", "image": image}]}}},
        "status": status or {},
    }


class Cluster:
    """A cluster that has one object, or none."""

    def __init__(self, live):
        self.live = live

    def get(self, resource, name, namespace=""):
        if self.live is None:
            raise NotFound("it is not there", code=404)
        return self.live


@pytest.mark.parametrize(
    ("live", "image"),
    [
        (None, "etcd:v1.0"),
        (workload("etcd:v2.0", SERVING), "etcd:v2.0"),
        # Its pod never became ready: what it replaced may come back.
        (workload("etcd:v2.0", {**SERVING, "readyReplicas": 0}), "etcd:v1.0"),
        # One of three pods is of the new kind and ready.
        (workload("etcd:v2.0", {**SERVING, "replicas": 3, "readyReplicas": 3}), "etcd:v2.0"),
        # The one that is not ready may be the new one.
        (workload("etcd:v2.0", {**SERVING, "replicas": 3, "readyReplicas": 2}), "etcd:v1.0"),
        # The controller has not seen it yet.
        (workload("etcd:v2.0", {**SERVING, "observedGeneration": 0}), "etcd:v1.0"),
        # Somebody else turned it back: the data was used by the newer one.
        (workload("etcd:v0.9", SERVING), "etcd:v1.0"),
    ],
)
def test_an_upgrade_that_was_interrupted_counts_as_far_as_its_pods_ran(live, image):
    before = _stack.NOTHING._replace(images={"etcd": "etcd:v1.0"})
    declared = _stack_objects.parse([workload("etcd:v1.0")])
    assert _stack.in_force(Cluster(live), declared, before) == {"etcd": image}


def test_a_rotation_that_was_interrupted_keeps_its_name():
    first = _stack.rotation_of(_stack.NOTHING, ["certificates"])
    assert first.what == ("certificates",)
    assert first.name
    assert _stack.rotation_of(_stack.NOTHING, ["certificates"]).name != first.name
    before = _stack.NOTHING._replace(rotation=first)
    assert _stack.rotation_of(before, []) == first
    assert _stack.rotation_of(before, ["administrator-token"]) == _stack.Rotation(first.name, ("administrator-token", "certificates"))
    assert _stack.rotation_of(_stack.NOTHING, []) == _stack.Rotation()


def test_a_way_in_that_leads_nowhere_is_not_called_ready():
    pytest.importorskip("cryptography")
    with pytest.raises(
        WaitTimeout, match=r"All parts of the management plane run, but https://127\.0\.0\.1:1 did not answer within 0\.1 seconds"
    ):
        _stack_wait.wait_way_in("https://127.0.0.1:1", _pki.make_ca("it").public, 0.1)
