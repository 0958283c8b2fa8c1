# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's own decisions; what it does to a server is tested against one."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kplane.core.plugins.module_utils import _contract
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.modules import kplane_vcp
from ansible_collections.kplane.core.tests.unit.fake_api import FakeApi, status

NOTHING = {
    "name": None,
    "names": None,
    "vcps": None,
    "class": None,
    "endpoint": None,
    "external_endpoint": None,
    "deletion_policy": None,
    "cluster_path": None,
    "labels": None,
    "annotations": None,
    "reattach": None,
    "ttl": None,
    "expires": None,
    "limits": None,
    "paused": None,
}


def declared(**params):
    return kplane_vcp.declarations({**NOTHING, **params})


def test_one_name_and_many_names_are_the_same_declaration():
    (one,) = declared(name="a", labels={"x": 1, "y": True, "z": None})
    assert (one.name, one.labels) == ("a", {"x": "1", "y": "true", "z": None})
    assert declared(names=["a", "b"], labels={"x": 1, "y": True, "z": None})[0] == one


def test_an_entry_wins_over_the_module_and_labels_are_merged():
    one, two = declared(
        vcps=[{"name": "a", "class": "gold", "labels": {"x": "own"}}, {"name": "b"}],
        **{"class": "silver", "labels": {"x": "common", "y": "common"}, "deletion_policy": "Destroy"},
    )
    assert (one.class_name, one.labels, one.deletion_policy) == ("gold", {"x": "own", "y": "common"}, "Destroy")
    assert (two.class_name, two.labels) == ("silver", {"x": "common", "y": "common"})


@pytest.mark.parametrize(
    "params",
    [{"name": "Not"}, {"names": ["a", "a"]}, {"name": "a", "cluster_path": "root"}, {"name": "a", "labels": {"x": ["list"]}}],
)
def test_what_cannot_be_declared_is_refused_before_anything_is_asked(params):
    with pytest.raises(KplaneError):
        declared(**params)


class Plane:
    """An API server that keeps what it is given, and is slow to say that somebody else was quicker."""

    def __init__(self, quicker):
        self.quicker = quicker
        self.objects = {}

    def __call__(self, request):
        path = request.path
        if request.method == "GET":
            found = self.objects.get(path)
            return (200, found) if found else (404, status(404, "NotFound"))
        if request.method == "POST":
            key = path + "/" + request.body["metadata"]["name"]
            if self.quicker and "controlplanes" in path:
                self.quicker = False
                self.objects[key] = self.ready({**request.body, "spec": {**request.body["spec"], "classRef": {"name": "theirs"}}})
                return 409, status(409, "AlreadyExists")
            self.objects[key] = self.ready(request.body)
            return 201, self.objects[key]
        self.objects[path]["spec"].update(request.body["spec"])
        return 200, self.objects[path]

    @staticmethod
    def ready(body):
        return {**body, "metadata": {**body["metadata"], "uid": "u"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.mark.parametrize(("quicker", "action"), [(False, "created"), (True, "updated")])
def test_one_that_somebody_else_makes_at_the_same_time_is_compared_with(quicker, action, capfd):
    plane = Plane(quicker)
    api = FakeApi(plane)
    kubeconfig = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": api.url}}],
        "users": [{"name": "x", "user": {"token": "not-to-be-seen"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    try:
        with patch_module_args({"name": "demo", "class": "mine", "management_kubeconfig": kubeconfig}), pytest.raises(SystemExit) as ended:
            kplane_vcp.main()
    finally:
        api.close()
    text = capfd.readouterr().out
    result = json.loads(text)
    assert ended.value.code == 0, result
    assert result["results"][0]["action"] == action
    assert plane.objects[_contract.CONTROL_PLANES.path("demo")]["spec"]["classRef"] == {"name": "mine"}
    assert "not-to-be-seen" not in text
