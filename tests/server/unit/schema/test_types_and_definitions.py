# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of built-in documents, and which schemas a definition may have."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.schema.crdschema import check_structural, status_root_causes
from kplane_server.schema.typecheck import type_mismatch

DEPLOYMENT = schema_for(GroupVersionKind("apps", "v1", "Deployment"))
SECRET = schema_for(GroupVersionKind("", "v1", "Secret"))
LEASE = schema_for(GroupVersionKind("coordination.k8s.io", "v1", "Lease"))

MISMATCHES: list[tuple[Any, dict[str, Any], str]] = [
    (
        DEPLOYMENT,
        {"spec": {"replicas": "3"}},
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        DEPLOYMENT,
        {"spec": {"replicas": 1.5}},
        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (DEPLOYMENT, {"spec": {"replicas": 2**31}}, "number 2147483648"),
    (DEPLOYMENT, {"spec": {"paused": "no"}}, "DeploymentSpec.spec.paused of type bool"),
    (DEPLOYMENT, {"spec": []}, "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": {}}}}}, "of type []v1.Container"),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": ["x"]}}}}, "containers[0] of type v1.Container"),
    (DEPLOYMENT, {"metadata": {"labels": {"a": 1}}}, "ObjectMeta.metadata.labels.a of type string"),
    (DEPLOYMENT, {"metadata": {"labels": "x"}}, "of type map[string]string"),
    (DEPLOYMENT, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1.5}}}}, "maxSurge"),
    (DEPLOYMENT, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": True}}}}, "maxSurge"),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": {}}}}]}}}}, "cpu"),
    (SECRET, {"data": {"a": "not base64!"}}, "illegal base64 data in data.a"),
    (LEASE, {"spec": {"renewTime": "yesterday"}}, "spec.renewTime"),
]


@pytest.mark.parametrize(("schema", "document", "message"), MISMATCHES)
def test_wrong_types(schema: Any, document: dict[str, Any], message: str) -> None:
    found = type_mismatch(document, schema)
    assert found is not None
    assert message in found


def test_right_types() -> None:
    document = {
        "metadata": {"creationTimestamp": None, "labels": {"a": "b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "replicas": 3,
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}},
        },
    }
    assert type_mismatch(document, DEPLOYMENT) is None
    assert type_mismatch({"data": {"a": "aGk="}}, SECRET) is None


def wrap(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


GOOD: list[dict[str, Any]] = [
    {"type": "object"},
    {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    wrap(a={"type": "integer", "default": 5, "minimum": 1}),
    wrap(a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
    wrap(a={"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"minimum": 1}]}),
    wrap(a={"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
    wrap(
        a={
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
        }
    ),
    {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}}},
    {"type": "object", "oneOf": [{"required": ["a"]}], "properties": {"a": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", GOOD)
def test_schemas_that_are_structural(schema: dict[str, Any]) -> None:
    assert check_structural(schema) == []


SPEC = "properties[spec].properties[a]"
BAD: list[tuple[Any, str, str]] = [
    (None, "", "must be a schema"),
    ([], "", "must be a schema"),
    ({"properties": 5}, "properties", "must be an object"),
    ({"type": 5}, "type", "must be a string"),
    (wrap(a=5), SPEC, "must be a schema"),
    (wrap(a={"type": "string", "maxLength": "5"}), f"{SPEC}.maxLength", "must be an integer"),
    (wrap(a={"type": "string", "nullable": "yes"}), f"{SPEC}.nullable", "must be a boolean"),
    (wrap(a={"type": "string", "enum": "a"}), f"{SPEC}.enum", "must be a list"),
    (wrap(a={"type": "object", "required": [1]}), f"{SPEC}.required", "must be a list of strings"),
    (wrap(a={"type": "number", "minimum": "1"}), f"{SPEC}.minimum", "must be a number"),
    (wrap(a={"type": "object", "x-kubernetes-validations": [{"rule": 1}]}), f"{SPEC}.x-kubernetes-validations[0].rule", "must be a string"),
    ({"type": "object", "items": [{}]}, "items", "items must be a schema object and not an array"),
    ({}, "type", "must not be empty at the root"),
    ({"type": "string"}, "type", "must be object at the root"),
    ({"type": "object", "nullable": True}, "nullable", "nullable cannot be true at the root"),
    ({"type": "object", "additionalProperties": {"type": "string"}}, "additionalProperties", "must not be used at the root"),
    (wrap(a={}), f"{SPEC}.type", "must not be empty for specified object fields"),
    (wrap(a={"type": "array"}), f"{SPEC}.items", "must be specified"),
    (wrap(a={"type": "array", "items": {}}), f"{SPEC}.items.type", "must not be empty for specified array items"),
    (wrap(a={"type": "thing"}), f"{SPEC}.type", 'Unsupported value: "thing"'),
    (wrap(a={"type": "null"}), f"{SPEC}.type", "type cannot be set to null"),
    (wrap(a={"type": "string", "pattern": "("}), f"{SPEC}.pattern", "must be a valid regular expression"),
    (wrap(a={"type": "object", "$ref": "#/x"}), f"{SPEC}.$ref", "$ref is not supported"),
    (
        wrap(a={"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        f"{SPEC}.uniqueItems",
        "uniqueItems cannot be set to true",
    ),
    (
        wrap(a={"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}),
        f"{SPEC}.additionalProperties",
        "mutual exclusive",
    ),
    (
        wrap(a={"type": "object", "x-kubernetes-preserve-unknown-fields": False}),
        f"{SPEC}.x-kubernetes-preserve-unknown-fields",
        "must be true or undefined",
    ),
    (wrap(a={"type": "string", "x-kubernetes-map-type": "atomic"}), f"{SPEC}.type", "must be object if x-kubernetes-map-type"),
    (wrap(a={"type": "string", "x-kubernetes-list-type": "set"}), f"{SPEC}.type", "must be array if x-kubernetes-list-type"),
    (
        wrap(a={"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}),
        f"{SPEC}.items.x-kubernetes-map-type",
        "must be atomic",
    ),
    (
        wrap(a={"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
        f"{SPEC}.x-kubernetes-list-map-keys",
        "must not be empty",
    ),
    (
        wrap(
            a={
                "type": "array",
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            }
        ),
        f"{SPEC}.items.properties[k].default",
        "must have a default or be a required property",
    ),
    (wrap(a={"type": "object", "anyOf": [{"type": "object"}]}), f"{SPEC}.anyOf[0].type", "must be empty to be structural"),
    (wrap(a={"type": "string", "allOf": [{"default": "x"}]}), f"{SPEC}.allOf[0].default", "must be undefined to be structural"),
    ({"type": "object", "not": {"properties": {"a": {"minimum": 1}}}}, "properties[a]", "because it is defined in not.properties[a]"),
    (wrap(a={"type": "string", "default": 5}), f"{SPEC}.default", "must be of type string"),
    (wrap(a={"type": "object", "default": {"z": 1}}), f"{SPEC}.default", "must not have unknown fields"),
    (
        {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}},
        "properties[metadata]",
        "must not specify anything other than name and generateName",
    ),
    (wrap(a={"type": "string", "x-kubernetes-validations": [{}]}), f"{SPEC}.x-kubernetes-validations[0].rule", "rule is not specified"),
    (
        wrap(a={"type": "string", "x-kubernetes-validations": [{"rule": "true\n&& true"}]}),
        f"{SPEC}.x-kubernetes-validations[0].message",
        "message must be specified if rule contains line breaks",
    ),
    (
        wrap(a={"type": "string", "x-kubernetes-validations": [{"rule": "true", "reason": "Because"}]}),
        f"{SPEC}.x-kubernetes-validations[0].reason",
        'Unsupported value: "Because"',
    ),
]


@pytest.mark.parametrize(("schema", "field", "message"), BAD)
def test_schemas_that_are_refused(schema: Any, field: str, message: str) -> None:
    causes = check_structural(schema)
    assert [c for c in causes if c.field == field and message in c.message], causes


def test_schemas_are_bounded() -> None:
    huge = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(30_000)}}
    assert ["may not have more than" in cause.message for cause in check_structural(huge)] == [True]


def test_the_root_with_a_status_subresource() -> None:
    assert status_root_causes({"type": "object", "properties": {}, "required": ["spec"]}) == []
    assert status_root_causes({"type": "object", "anyOf": [{"required": ["a"]}]})
