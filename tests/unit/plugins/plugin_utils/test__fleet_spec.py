# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_spec as spec


def test_a_host_without_variables_declares_a_vcp_of_its_name():
    wanted = spec.wanted("team-001.lab.example", {}, "blue")
    assert wanted.name == "team-001"
    assert wanted.state == "present"
    assert wanted.declared.labels == {spec.FLEET_LABEL: "blue"}
    assert wanted.declared.class_name is None
    assert wanted.seed is None
    assert wanted.embedded_only == ()
    # What is no longer declared is taken away.
    assert wanted.declared.annotations[spec.TTL_ANNOTATION] is None
    assert wanted.declared.annotations[spec.STATE_ANNOTATION] is None


def test_everything_that_a_host_can_declare():
    variables = {
        "kplane_name": "blue-1",
        "kplane_state": "paused",
        "kplane_class": "gold",
        "kplane_labels": {"tier": "gold", "old": None, "on": True},
        "kplane_annotations": {"note": "x"},
        "kplane_deletion_policy": "Destroy",
        "kplane_ttl": "7d12h",
        "kplane_expires": "2026-12-31T18:00:00Z",
        "kplane_resume_on_request": True,
        "kplane_limits": {"objects": 100, "bytes": "1000"},
        "kplane_credentials": {"directory": "/d", "secret": {"namespace": "ns"}},
    }
    wanted = spec.wanted("h", variables, "blue", [])
    declared = wanted.declared
    assert (declared.name, declared.class_name, declared.deletion_policy) == ("blue-1", "gold", "Destroy")
    assert declared.labels == {"tier": "gold", "old": None, "on": "true", spec.FLEET_LABEL: "blue"}
    assert declared.annotations["note"] == "x"
    assert declared.annotations[spec.TTL_ANNOTATION] == "7d12h"
    assert declared.annotations[spec.EXPIRES_ANNOTATION] == "2026-12-31T18:00:00Z"
    assert declared.annotations[spec.STATE_ANNOTATION] == "paused"
    assert declared.annotations[spec.LIMITS_ANNOTATION] == '{"bytes":1000,"objects":100}'
    assert wanted.embedded_only == ("expires", "limits", "resumeOnRequest", "state", "ttl")
    assert wanted.handout == spec.Handout("/d", spec.SecretTarget("ns", "blue-1-kubeconfig"))
    assert wanted.seed == ()
    assert wanted.seed_hash == ""


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"kplane_name": "Upper"}, "not a valid name"),
        ({"kplane_name": "root"}, "reserved"),
        ({"kplane_state": "gone"}, "kplane_state is 'gone'"),
        ({"kplane_deletion_policy": "Keep"}, "kplane_deletion_policy is 'Keep'"),
        ({"kplane_labels": ["a"]}, "kplane_labels is not a mapping"),
        ({"kplane_labels": {"a": ["b"]}}, "is not text"),
        ({"kplane_labels": {spec.FLEET_LABEL: "mine"}}, "which the fleet itself keeps"),
        ({"kplane_annotations": {spec.SEED_ANNOTATION: "x"}}, "which the fleet itself keeps"),
        ({"kplane_ttl": "soon"}, "not a duration"),
        ({"kplane_ttl": "0h"}, "not a duration"),
        ({"kplane_expires": "tomorrow"}, "not a time"),
        ({"kplane_expires": "2026-12-31T18:00:00"}, "not a time"),
        ({"kplane_limits": {"pods": 3}}, "kplane_limits has 'pods'"),
        ({"kplane_limits": {"objects": 0}}, "not a positive whole number"),
        ({"kplane_limits": {"objects": True}}, "not a positive whole number"),
        ({"kplane_resume_on_request": "maybe"}, "neither true nor false"),
        ({"kplane_credentials": "/d"}, "kplane_credentials is not a mapping"),
        ({"kplane_credentials": {"secret": {"name": "x"}}}, "not a mapping with a namespace"),
    ],
)
def test_what_cannot_be_declared(variables, words):
    with pytest.raises(KplaneError, match=words):
        spec.wanted("team-001", variables, "blue")


def test_a_vcp_is_over_when_its_end_has_come():
    wanted = spec.wanted("a", {"kplane_expires": "2026-01-01T00:00:00Z"}, "blue")
    end = 1767225600
    assert [wanted.over(end - 1), wanted.over(end)] == [False, True]
    assert not spec.wanted("a", {"kplane_ttl": "1h"}, "blue").over(end)


def test_two_hosts_of_one_vcp():
    vcps = [spec.wanted("a", {"kplane_name": "same"}, "blue"), spec.wanted("b", {"kplane_name": "same"}, "blue")]
    with pytest.raises(KplaneError, match="a and b declare the same VCP 'same'"):
        spec.check_unique(vcps)


def test_the_hash_of_a_seed_does_not_depend_on_the_order_of_keys():
    one = [{"kind": "ConfigMap", "data": {"a": "1", "b": "2"}}]
    two = [{"data": {"b": "2", "a": "1"}, "kind": "ConfigMap"}]
    assert spec.fingerprint(one) == spec.fingerprint(two)
    assert spec.fingerprint(one) != spec.fingerprint(one + two)


@pytest.mark.parametrize("name", ["", "-a", "a b", "x" * 64, "a/b"])
def test_names_that_no_fleet_can_have(name):
    with pytest.raises(KplaneError):
        spec.check_fleet_name(name)


def test_hosts_of_the_same_plane_have_the_same_key():
    one = spec.plane_options({"kplane_cluster_name": "lab", "kplane_class": "x", "kplane_data_dir": None})
    assert one == {"cluster_name": "lab"}
    assert spec.plane_key(one) == spec.plane_key({"cluster_name": "lab"})
