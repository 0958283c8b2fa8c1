# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _vcp
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_plan, _fleet_spec
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_plan import Policy, plan


def addresses(name):
    return (f"https://in/{name}", f"https://out/{name}")


def live(name, fleet="blue", **metadata):
    labels = {_fleet_spec.FLEET_LABEL: fleet} if fleet else {}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, **metadata},
        "spec": {"classRef": {"name": "starter"}, "endpointRef": {"name": f"{name}-endpoint"}},
    }


def world(*objects):
    endpoints = {f"{obj['metadata']['name']}-endpoint": {"spec": {"endpoint": "https://in/x"}} for obj in objects}
    return _vcp.World({obj["metadata"]["name"]: obj for obj in objects}, endpoints)


def wanted(name, seed=None, **variables):
    return _fleet_spec.wanted(name, {f"kplane_{key}": value for key, value in variables.items()}, "blue", seed)


def actions(made):
    return {job.name: job.action for job in made.jobs}


def test_create_update_and_leave_alone():
    made = plan([wanted("a"), wanted("b"), wanted("c", labels={"x": "1"})], world(live("b"), live("c")), addresses, Policy("blue"))
    assert actions(made) == {"a": "created", "b": "unchanged", "c": "updated"}
    assert made.jobs[0].step.create["metadata"]["labels"][_fleet_spec.FLEET_LABEL] == "blue"


def test_a_vcp_of_another_fleet_is_refused_and_one_of_none_only_without_adopt():
    there = world(live("a", "red"), live("b", ""))
    refused = plan([wanted("a"), wanted("b")], there, addresses, Policy("blue"))
    assert [bool(job.error) for job in refused.jobs] == [True, True]
    assert not any(job.step.changes for job in refused.jobs)
    adopted = plan([wanted("a"), wanted("b")], there, addresses, Policy("blue", adopt=True))
    assert adopted.jobs[0].error is not None
    assert adopted.jobs[1].error is None
    assert adopted.jobs[1].step.patch == {"metadata": {"labels": {_fleet_spec.FLEET_LABEL: "blue"}}}


def test_prune_takes_only_what_the_fleet_owns_and_nothing_unless_asked():
    there = world(live("a"), live("b"), live("c", "red"), live("d", ""))
    assert actions(plan([wanted("a")], there, addresses, Policy("blue"))) == {"a": "unchanged"}
    made = plan([wanted("a")], there, addresses, Policy("blue", prune=True, prune_limit=50))
    assert actions(made) == {"a": "unchanged", "b": "pruned"}
    assert made.jobs[1].step.delete_uid == "uid-b"


@pytest.mark.parametrize(("gone", "allowed"), [(10, True), (11, False), (100, False)])
def test_the_share_that_may_be_pruned(gone, allowed):
    names = [f"v{number:03d}" for number in range(100)]
    there = world(*[live(name) for name in names])
    rest = [wanted(name) for name in names[gone:]]
    if allowed:
        assert len([job for job in plan(rest, there, addresses, Policy("blue", prune=True)).jobs if job.pruned]) == gone
    else:
        with pytest.raises(_fleet_plan.PruneRefused) as caught:
            plan(rest, there, addresses, Policy("blue", prune=True))
        assert caught.value.details["owned"] == 100
        assert len(caught.value.details["prunable"]) == gone


def test_what_is_being_deleted_already_is_not_counted_nor_pruned():
    there = world(live("a"), live("b", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert actions(plan([wanted("a")], there, addresses, Policy("blue", prune=True, prune_limit=0))) == {"a": "unchanged"}


def test_what_is_being_deleted_and_is_wanted_is_made_again():
    (job,) = plan([wanted("a")], world(live("a", deletionTimestamp="x")), addresses, Policy("blue")).jobs
    assert job.leaving
    assert job.step.create is not None


def test_absent_deletes_only_what_is_there_and_ours():
    made = plan([wanted("a", state="absent"), wanted("b", state="absent")], world(live("a")), addresses, Policy("blue"))
    assert actions(made) == {"a": "deleted", "b": "unchanged"}
    (job,) = plan([wanted("a", state="absent")], world(live("a", "red")), addresses, Policy("blue")).jobs
    assert job.error is not None


def test_what_is_over_is_not_made_again():
    ended = wanted("a", expires="2026-01-01T00:00:00Z")
    assert actions(plan([ended], world(), addresses, Policy("blue", now=1767225600.0))) == {"a": "unchanged"}
    assert actions(plan([ended], world(), addresses, Policy("blue", now=1767225599.0))) == {"a": "created"}


def test_a_seed_is_applied_when_its_hash_differs():
    seed = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}]
    mark = {_fleet_spec.SEED_ANNOTATION: _fleet_spec.fingerprint(seed)}
    there = world(live("a", annotations=mark), live("b"), live("c", annotations=mark))
    made = plan([wanted("a", seed), wanted("b", seed), wanted("c")], there, addresses, Policy("blue"))
    assert [job.seed for job in made.jobs] == [False, True, False]
    assert made.jobs[1].action == "seeded"
    assert [job.seed for job in plan([wanted("a", seed)], there, addresses, Policy("blue", reseed=True)).jobs] == [True]


def test_pausing_is_an_annotation_that_is_taken_away_again():
    (job,) = plan([wanted("a", state="paused")], world(live("a")), addresses, Policy("blue")).jobs
    assert job.step.patch == {"metadata": {"annotations": {_fleet_spec.STATE_ANNOTATION: "paused"}}}
    paused = world(live("a", annotations={_fleet_spec.STATE_ANNOTATION: "paused"}))
    (job,) = plan([wanted("a")], paused, addresses, Policy("blue")).jobs
    assert job.step.patch == {"metadata": {"annotations": {_fleet_spec.STATE_ANNOTATION: None}}}


def test_a_seed_that_left_something_behind_is_work_only_where_pruning_inside_seeds_was_asked_for():
    seed = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]
    declared = wanted("a", seed)
    for mark, prune, expected in (
        ("", False, False),
        ("", True, False),
        (_fleet_spec.UNPRUNED, False, False),
        (_fleet_spec.UNPRUNED, True, True),
    ):
        there = world(live("a", annotations={_fleet_spec.SEED_ANNOTATION: declared.seed_hash + mark}))
        (job,) = plan([declared], there, addresses, Policy("blue", prune_seeds=prune)).jobs
        assert job.seed is expected
    there = world(live("a", annotations={_fleet_spec.SEED_ANNOTATION: declared.seed_hash}))
    assert plan([wanted("a", [])], there, addresses, Policy("blue")).jobs[0].seed is True
