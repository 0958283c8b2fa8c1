# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _vcp
from ansible_collections.kplane.core.plugins.module_utils._config import apply_patch

URL = "https://127.0.0.1:8443/clusters/{}/control-plane"


def addresses(name):
    return URL.format(name), URL.format(name)


def made(declared):
    """The world after a plan for an empty one was carried out."""
    step = _vcp.plan_present(declared, _vcp.EMPTY_WORLD, addresses)
    control_plane = copy.deepcopy(step.create)
    control_plane["metadata"].update(uid="u-1", creationTimestamp="2026-01-01T00:00:00Z")
    return _vcp.World({declared.name: control_plane}, {declared.name + "-endpoint": copy.deepcopy(step.create_endpoint)})


def carried_out(world, step):
    """The world after the patches of a step."""
    name = step.name
    return _vcp.World(
        {name: apply_patch(world.control_planes[name], step.patch or {})},
        {name + "-endpoint": apply_patch(world.endpoints[name + "-endpoint"], step.patch_endpoint or {})},
    )


def test_a_new_one_has_the_shape_of_the_reference():
    step = _vcp.plan_present(_vcp.Declared("demo"), _vcp.EMPTY_WORLD, addresses)
    assert step.action == "created"
    assert step.create["spec"] == {
        "classRef": {"name": "starter"},
        "endpointRef": {"name": "demo-endpoint"},
        "mode": "Virtual",
        "virtual": {"clusterPath": "demo"},
    }
    assert step.create_endpoint["metadata"]["name"] == "demo-endpoint"
    assert step.create_endpoint["spec"] == {"endpoint": URL.format("demo"), "externalEndpoint": URL.format("demo")}


FULL = _vcp.Declared(
    "demo",
    class_name="gold",
    endpoint="https://in/clusters/demo/control-plane",
    external_endpoint="https://out/clusters/demo/control-plane",
    deletion_policy="Destroy",
    cluster_path="demo-path",
    labels={"team": "blue"},
    annotations={"note": "x"},
    reattach="true",
)


@pytest.mark.parametrize("declared", [_vcp.Declared("demo"), FULL])
def test_what_was_made_as_declared_is_left_alone(declared):
    step = _vcp.plan_present(declared, made(declared), addresses)
    assert (step.action, step.changes, step.drift) == ("unchanged", False, ())


@pytest.mark.parametrize(
    "change",
    [
        {"class_name": "silver"},
        {"endpoint": "https://new/clusters/demo/control-plane"},
        {"external_endpoint": "https://new/clusters/demo/control-plane"},
        {"deletion_policy": "Retain"},
        {"labels": {"team": "red"}},
        {"labels": {"team": None}},
        {"annotations": {"note": "y"}},
        {"annotations": {"new": "z"}},
    ],
)
def test_each_declared_change_is_made_once(change):
    world = made(FULL)
    declared = _vcp.Declared("demo", **change)
    step = _vcp.plan_present(declared, world, addresses)
    assert step.action == "updated"
    assert step.changes
    assert step.before != step.after
    assert not _vcp.plan_present(declared, carried_out(world, step), addresses).changes


def test_what_was_not_declared_stays_as_it_is():
    world = made(FULL)
    step = _vcp.plan_present(_vcp.Declared("demo"), world, addresses)
    assert not step.changes
    step = _vcp.plan_present(_vcp.Declared("demo", labels={"mine": "1"}), world, addresses)
    assert step.patch == {"metadata": {"labels": {"mine": "1"}}}
    assert step.patch_endpoint is None


def test_the_path_cannot_be_changed_and_that_is_said():
    step = _vcp.plan_present(_vcp.Declared("demo", cluster_path="other"), made(FULL), addresses)
    assert not step.changes
    assert step.drift == ({"option": "cluster_path", "found": "demo-path", "declared": "other"},)


def test_a_lost_endpoint_is_made_again():
    world = made(_vcp.Declared("demo"))
    step = _vcp.plan_present(_vcp.Declared("demo"), _vcp.World(world.control_planes, {}), addresses)
    assert step.action == "updated"
    assert step.create_endpoint["spec"]["endpoint"] == URL.format("demo")


def test_an_endpoint_that_is_there_already_is_used():
    endpoints = {"demo-endpoint": {"metadata": {"name": "demo-endpoint"}, "spec": {"endpoint": "https://mine"}}}
    step = _vcp.plan_present(_vcp.Declared("demo"), _vcp.World({}, endpoints), addresses)
    assert step.create_endpoint is None
    assert step.patch_endpoint is None
    assert step.action == "created"


def test_deleting_takes_both_and_only_that_very_one():
    step = _vcp.plan_absent(_vcp.Declared("demo"), made(_vcp.Declared("demo")))
    assert (step.action, step.delete_uid, step.delete_endpoint, step.patch) == ("deleted", "u-1", True, None)


def test_deleting_sets_the_policy_first():
    step = _vcp.plan_absent(_vcp.Declared("demo", deletion_policy="Destroy", labels={"a": "b"}), made(_vcp.Declared("demo")))
    assert step.patch == {"spec": {"deletionPolicy": "Destroy"}}


def test_deleting_what_is_not_there_does_nothing():
    assert not _vcp.plan_absent(_vcp.Declared("demo"), _vcp.EMPTY_WORLD).changes


def test_deleting_finishes_what_was_left():
    world = made(_vcp.Declared("demo"))
    step = _vcp.plan_absent(_vcp.Declared("demo"), _vcp.World({}, world.endpoints))
    assert (step.action, step.delete_uid, step.delete_endpoint) == ("deleted", "", True)


def test_a_summary_has_everything_even_of_a_bare_object():
    bare = _vcp.summary({"metadata": {"name": "demo"}})
    full = _vcp.summary(made(FULL).control_planes["demo"], made(FULL).endpoints["demo-endpoint"])
    assert set(bare) == set(full)
    assert (bare["ready"], bare["context"], bare["cluster_path"]) == (False, "kplane-demo", "demo")
    assert (full["class"], full["external_endpoint"], full["deletion_policy"]) == (
        "gold",
        "https://out/clusters/demo/control-plane",
        "Destroy",
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (601, "10m"),
        (3600, "1h"),
        (3660, "1h1m"),
        (8 * 3600 + 60, "8h"),
        (86400, "1d"),
        (90000, "1d1h"),
        (9 * 86400 + 3600, "9d"),
    ],
)
def test_ages_for_people(seconds, text):
    assert _vcp.human(seconds) == text


def test_an_age_that_cannot_be_read_is_zero():
    assert _vcp.age("yesterday") == 0
    assert _vcp.age("2020-01-01T00:00:00Z") > 10**8
