# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _inventory


def vcp(name="a", **fields):
    obj = {"metadata": {"name": name, "labels": fields.pop("labels", {}), "annotations": fields.pop("annotations", {})}, "spec": {}}
    ready = fields.pop("ready", True)
    obj["status"] = {"endpoint": "https://x", "conditions": [{"type": "Ready", "status": "True" if ready else "False", "reason": "R"}]}
    obj["spec"]["classRef"] = {"name": fields.pop("cls", "starter")}
    return _inventory.facts(obj)


def test_groups():
    groups = _inventory.groups_of(vcp(labels={"team": "blue/1", "app.kubernetes.io/managed-by": "x", "flag": ""}), "my lab", None)
    assert groups == ["kplane_plane_my_lab", "kplane_ready", "kplane_class_starter", "kplane_label_team_blue_1", "kplane_label_flag"]
    assert "kplane_not_ready" in _inventory.groups_of(vcp(ready=False), "lab", None)
    assert "kplane_paused" in _inventory.groups_of(vcp(annotations={"controlplane.kplane.dev/state": "paused"}), "lab", None)
    assert _inventory.groups_of(vcp(labels={"a": "1", "b": "2"}), "lab", {"b"})[-1] == "kplane_label_b_2"


@pytest.mark.parametrize(
    ("patterns", "found"),
    [([], ["ci-1", "ci-x", "team-1"]), (["ci-*"], ["ci-1", "ci-x"]), (["~^ci-[0-9]$"], ["ci-1"]), (["ci-1", "team-?"], ["ci-1", "team-1"])],
)
def test_names(patterns, found):
    matches = _inventory.name_filter(patterns)
    assert [name for name in ("ci-1", "ci-x", "team-1") if matches(name)] == found


def test_a_pattern_that_is_none():
    with pytest.raises(KplaneError, match="not a valid pattern"):
        _inventory.name_filter(["~("])


def test_host_names_of_several_planes():
    planes = [("one", [vcp("a"), vcp("b")]), ("two", [vcp("a")])]
    assert _inventory.host_names(planes[:1], "auto") == [["a", "b"]]
    assert _inventory.host_names(planes, "auto") == [["a.one", "b.one"], ["a.two"]]
    with pytest.raises(KplaneError, match="both have a VCP that makes the host 'a'"):
        _inventory.host_names(planes, "name")
