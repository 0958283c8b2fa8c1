# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ownership of built-in kinds, and what recordings of upstream do not reach: caps, sub-resources, resets, words of errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import BadRequest, Conflict
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.schema.apply.managers import apply, ignored_fields, update
from kplane_server.schema.structural import compile_resource_schema

CONFIG_MAP = schema_for(GroupVersionKind("", "v1", "ConfigMap"))
DEPLOYMENT = schema_for(GroupVersionKind("apps", "v1", "Deployment"))
SERVICE = schema_for(GroupVersionKind("", "v1", "Service"))
T0, T1, T2 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def config(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "d", **metadata}}
    return made if data is None else {**made, "data": data}


def created(document: dict[str, Any], manager: str = "creator", now: str = T0) -> dict[str, Any]:
    made = update(None, document, manager, CONFIG_MAP, "v1", "", now)
    made["metadata"]["uid"] = "1"
    return dict(made)


def changed(live: dict[str, Any], manager: str, now: str = T1, *, sub: str = "", data: dict[str, str] | None = None) -> dict[str, Any]:
    new = copy.deepcopy(live)
    if data is not None:
        new["data"] = data
    return dict(update(live, new, manager, CONFIG_MAP, "v1", sub, now))


def owners(document: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in document["metadata"].get("managedFields", ())}


def times(document: dict[str, Any]) -> dict[str, str]:
    return {entry["manager"]: entry.get("time", "") for entry in document["metadata"].get("managedFields", ())}


def test_the_creator_owns_all_but_what_nobody_owns() -> None:
    live = created(config({"a": "1"}, labels={"l": "v"}, generation=1, creationTimestamp=T0))
    assert live["metadata"]["managedFields"] == [
        {
            "manager": "creator",
            "operation": "Update",
            "apiVersion": "v1",
            "time": T0,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}},
        }
    ]


def test_nobody_owns_the_structs_of_a_built_in_kind() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}},
        },
    }
    live = update(None, deployment, "creator", DEPLOYMENT, "apps/v1", "", T0)
    ports = {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    assert owners(live)["creator"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:ports": ports}}},
            },
        }
    }
    with_status = {**live, "status": {"replicas": 1}}
    assert owners(update(live, with_status, "controller", DEPLOYMENT, "apps/v1", "status", T1))["controller"] == {
        "f:status": {"f:replicas": {}}
    }


def test_time_moves_only_with_fields() -> None:
    live = created(config({"a": "1"}))
    assert changed(live, "creator")["metadata"]["managedFields"] is live["metadata"]["managedFields"]
    assert times(changed(live, "creator", data={"a": "2"})) == {"creator": T1}
    assert owners(changed(live, "creator", data={"a": "2"})) == owners(live)
    assert times(changed(live, "other", data={"a": "2"})) == {"creator": T0, "other": T1}


def test_ownership_moves_to_who_changes_and_goes_with_the_field() -> None:
    live = changed(created(config({"a": "1", "b": "1"})), "other", data={"a": "2", "b": "1"})
    assert owners(live) == {"creator": {"f:data": {".": {}, "f:b": {}}}, "other": {"f:data": {"f:a": {}}}}
    live = changed(live, "third", T2, data={"b": "1"})
    assert owners(live) == {"creator": {"f:data": {".": {}, "f:b": {}}}}


def test_updaters_are_capped() -> None:
    live = created(config({f"k{i}": "0" for i in range(20)}))
    for i in range(15):
        live = changed(live, f"m{i:02d}", f"2026-01-01T00:01:{i:02d}Z", data={**live["data"], f"k{i}": "1"})
    entries = live["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert entries[0]["time"] == "2026-01-01T00:01:05Z"
    assert set(owners(live)["ancient-changes"]["f:data"]) == {".", *(f"f:k{i}" for i in (0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19))}


def test_sub_resources_are_managers_of_their_own_and_cannot_set_the_list() -> None:
    live = created(config({"a": "1"}))
    new = copy.deepcopy(live)
    new["data"]["a"] = "2"
    new["metadata"]["managedFields"] = [{}]
    entries = update(live, new, "creator", CONFIG_MAP, "v1", "status", T1)["metadata"]["managedFields"]
    assert [(e["manager"], e.get("subresource", "")) for e in entries] == [("creator", ""), ("creator", "status")]


@pytest.mark.parametrize("reset", [[], [{}]])
def test_the_list_can_be_reset(reset: list[Any]) -> None:
    live = created(config({"a": "1"}))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = reset
    assert "managedFields" not in update(live, new, "creator", CONFIG_MAP, "v1", "", T1)["metadata"]


def test_a_client_may_set_the_list_and_a_malformed_one_is_ignored() -> None:
    live = created(config({"a": "1"}))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"][0]["manager"] = "renamed"
    assert set(owners(update(live, new, "creator", CONFIG_MAP, "v1", "", T1))) == {"renamed"}
    for wrong in (
        {"operation": "Guess"},
        {"apiVersion": ""},
        {"fieldsType": "V2"},
        {"fieldsV1": {"x": {}}},
        {"fieldsV1": 5},
        {"time": "now"},
    ):
        new["metadata"]["managedFields"] = [{**live["metadata"]["managedFields"][0], **wrong}]
        assert owners(update(live, new, "creator", CONFIG_MAP, "v1", "", T1)) == owners(live)


def test_conflicts_name_managers_and_fields() -> None:
    live = changed(created(config({"a": "1", "b": "1"})), "other", data={"a": "2", "b": "1"})
    with pytest.raises(Conflict) as one:
        apply(live, config({"a": "3"}), "me", False, CONFIG_MAP, "v1", "", T2)
    assert one.value.message == 'Apply failed with 1 conflict: conflict with "other" using v1: .data.a'
    assert [tuple(cause) for cause in one.value.causes] == [("FieldManagerConflict", 'conflict with "other" using v1', ".data.a")]
    with pytest.raises(Conflict) as two:
        apply(live, config({"a": "3", "b": "3"}), "me", False, CONFIG_MAP, "v1", "", T2)
    assert two.value.message == (
        'Apply failed with 2 conflicts: conflicts with "creator" using v1:\n- .data.b\nconflicts with "other" using v1:\n- .data.a'
    )
    forced = apply(live, config({"a": "3", "b": "3"}), "me", True, CONFIG_MAP, "v1", "", T2)
    assert forced["data"] == {"a": "3", "b": "3"}
    assert owners(forced) == {"creator": {"f:data": {}}, "me": {"f:data": {"f:a": {}, "f:b": {}}}}


def test_conflicts_with_appliers_and_sub_resources_are_worded_for_them() -> None:
    live = apply(None, config({"a": "1"}), "first", False, CONFIG_MAP, "v1", "scale", T0)
    with pytest.raises(Conflict, match=r'conflict with "first" with subresource "scale": \.data\.a'):
        apply(live, config({"a": "2"}), "second", False, CONFIG_MAP, "v1", "", T1)


def test_what_is_applied_no_more_goes_unless_somebody_else_owns_it() -> None:
    live = apply(None, config({"a": "1", "b": "1", "c": "1"}), "one", False, CONFIG_MAP, "v1", "", T0)
    live = apply(live, config({"b": "1"}), "two", False, CONFIG_MAP, "v1", "", T1)
    live = changed(live, "three", data={**live["data"], "d": "1"})
    live = apply(live, config({"a": "1"}), "one", False, CONFIG_MAP, "v1", "", T2)
    assert live["data"] == {"a": "1", "b": "1", "d": "1"}
    assert owners(live) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:b": {}}}, "three": {"f:data": {"f:d": {}}}}


def test_ports_of_a_service_are_told_apart_by_two_keys_one_with_a_default() -> None:
    def service(*ports: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports)}}

    live = apply(None, service({"port": 53}, {"port": 53, "protocol": "UDP"}), "one", False, SERVICE, "v1", "", T0)
    assert set(owners(live)["one"]["f:spec"]["f:ports"]) == {'k:{"port":53,"protocol":"TCP"}', 'k:{"port":53,"protocol":"UDP"}'}
    live = apply(live, service({"port": 53, "protocol": "TCP", "name": "dns"}), "one", False, SERVICE, "v1", "", T1)
    assert live["spec"]["ports"] == [{"port": 53, "protocol": "TCP", "name": "dns"}]
    with pytest.raises(BadRequest, match="duplicate entries for key"):
        apply(live, service({"port": 80}, {"port": 80, "protocol": "TCP"}), "one", False, SERVICE, "v1", "", T1)


def test_objects_without_managers_are_owned_as_of_before_the_first_apply() -> None:
    live = apply(config({"a": "1", "b": "1"}, uid="1"), config({"c": "1"}), "me", False, CONFIG_MAP, "v1", "", T1)
    assert owners(live) == {"before-first-apply": {"f:data": {".": {}, "f:a": {}, "f:b": {}}}, "me": {"f:data": {"f:c": {}}}}
    assert "managedFields" not in changed(config({"a": "1"}, uid="1"), "me", data={"a": "2"})["metadata"]


def test_fields_that_an_endpoint_resets_are_not_owned_through_it() -> None:
    ignored = ignored_fields([("data",)])
    live = update(None, config({"a": "1"}, labels={"l": "v"}), "m", CONFIG_MAP, "v1", "", T0, ignored=ignored)
    assert owners(live) == {"m": {"f:metadata": {"f:labels": {".": {}, "f:l": {}}}}}
    live = apply(live, config({"a": "1"}, labels={"l": "v"}), "n", False, CONFIG_MAP, "v1", "", T0, ignored=ignored)
    assert owners(live)["n"] == {"f:metadata": {"f:labels": {"f:l": {}}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**config(), "apiVersion": "v2"}, "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"),
        (config(managedFields=[]), "metadata.managedFields must be nil"),
        ({**config(), "bogus": 1}, ".bogus: field not declared in schema"),
        (config({"a": 5}), ".data.a: expected string, got 5"),  # type: ignore[dict-item]
        ({**config(), "data": []}, ".data: expected map, got list"),
        (config(finalizers=["a", "a"]), 'duplicate entries for key [="a"]'),
        (config(finalizers=[None]), "element 0: associative list without keys has an element that's an explicit null"),
        (config(ownerReferences=[{"name": "x"}]), "omits all key fields"),
    ],
)
def test_configurations_that_do_not_fit(document: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        apply(None, document, "me", False, CONFIG_MAP, "v1", "", T0)
    assert message in caught.value.message


def test_a_part_that_became_atomic_is_owned_as_a_whole() -> None:
    def schema(kind: str) -> Any:
        labels = {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": kind}
        return compile_resource_schema({"type": "object", "properties": {"spec": {"type": "object", "properties": {"m": labels}}}})

    document = {"apiVersion": "g/v1", "kind": "T", "metadata": {"name": "x"}, "spec": {"m": {"a": "1"}}}
    live = apply(None, document, "one", False, schema("granular"), "g/v1", "", T0)
    assert owners(live)["one"] == {"f:spec": {"f:m": {"f:a": {}}}}
    live = apply(live, {**document, "spec": {}}, "two", False, schema("atomic"), "g/v1", "", T1)
    assert owners(live)["one"] == {"f:spec": {"f:m": {}}}


data = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), data), min_size=1, max_size=5))
def test_applying_twice_is_applying_once(steps: list[tuple[str, dict[str, str]]]) -> None:
    live: Any = None
    for manager, wanted in steps:
        live = apply(live, config(wanted), manager, True, CONFIG_MAP, "v1", "", T0)
        again = apply(live, config(wanted), manager, False, CONFIG_MAP, "v1", "", T1)
        assert again == live
        assert {key: (live.get("data") or {}).get(key) for key in wanted} == wanted


@given(data, data)
def test_arguments_stay_as_they_were(before: dict[str, str], after: dict[str, str]) -> None:
    live = apply(None, config(before), "one", True, CONFIG_MAP, "v1", "", T0)
    wanted = config(after)
    shown = repr((live, wanted))
    result = apply(live, wanted, "one", True, CONFIG_MAP, "v1", "", T1)
    result["metadata"]["labels"] = {"changed": "later"}
    if result.get("data"):
        result["data"]["changed"] = "later"
    assert repr((live, wanted)) == shown
