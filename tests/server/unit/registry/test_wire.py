# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protobuf documents: round trips by law, against bytes that Go wrote, and against bytes that nobody should write."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import wire
from kplane_server.schema.protobuf import MAGIC, Envelope, unwrap, wrap

NAMES = st.text("abcdefghij-", min_size=1, max_size=10)
MAPS = st.dictionaries(NAMES, st.text(max_size=10), min_size=1, max_size=3)
METADATA = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "labels": MAPS,
        "creationTimestamp": st.just("2026-11-22T07:51:53Z"),
        "deletionGracePeriodSeconds": st.integers(-(2**63), 2**63 - 1),
        "finalizers": st.lists(NAMES, min_size=1, max_size=3),
        "managedFields": st.just([{"manager": "m", "operation": "Apply", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}}]),
    },
)
PORTS = st.one_of(st.integers(1, 65535), NAMES)
CONTAINERS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "image": NAMES,
        "args": st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3),
        "resources": st.just({"limits": {"cpu": "100m", "memory": "1Gi"}}),
        "livenessProbe": st.builds(lambda port: {"httpGet": {"port": port, "path": "/x"}}, PORTS),
        "env": st.just([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": False}}}]),
        "securityContext": st.fixed_dictionaries({"runAsUser": st.integers(0, 2**40), "privileged": st.booleans()}),
    },
)
DOCUMENTS = st.one_of(
    st.builds(lambda m, d: {"apiVersion": "v1", "kind": "ConfigMap", "metadata": m, "data": d}, METADATA, MAPS),
    st.builds(
        lambda m, b: {"apiVersion": "v1", "kind": "Secret", "metadata": m, "data": {"k": base64.b64encode(b).decode()}},
        METADATA,
        st.binary(min_size=1, max_size=30),
    ),
    st.builds(
        lambda m, replicas, containers: {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": m,
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}},
            },
        },
        METADATA,
        st.integers(0, 2**31 - 1),
        st.lists(CONTAINERS, min_size=1, max_size=3),
    ),
    st.builds(
        lambda m, t: {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": m, "spec": {"renewTime": t}},
        METADATA,
        st.sampled_from(["2026-11-22T07:51:53.123456Z", "1999-12-31T23:59:59.000001Z"]),
    ),
)


def pruned(value: Any) -> Any:
    """A document as Go's ``omitempty`` leaves it where the test's documents have empty parts."""
    return {k: pruned(v) for k, v in value.items() if v != {}} if isinstance(value, dict) else value


@given(DOCUMENTS)
def test_what_is_written_is_read(document: dict[str, Any]) -> None:
    encoded = wire.encode(document)
    assert encoded is not None
    assert pruned(wire.decode(encoded)) == pruned(document)


def test_bytes_that_go_wrote() -> None:
    """A ConfigMap as client-go 0.34 sends it: the fields of ObjectMeta that are no pointers are there, empty."""
    meta = b"\x0a\x01c\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"
    raw = b"\x0a" + bytes([len(meta)]) + meta + b"\x12\x06\x0a\x01a\x12\x011"
    document = wire.decode(wrap(Envelope("v1", "ConfigMap", raw)))
    assert document == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}


def test_zeros_are_said_only_where_go_says_them() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 0, "minReadySeconds": 0}}
    encoded = wire.encode(deployment)
    assert encoded is not None
    assert wire.decode(encoded)["spec"] == {"replicas": 0}


def test_mutating_policies() -> None:
    """The one beta that is served has its messages, too."""
    rule = {"resourceNames": ["n"], "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1beta1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [rule], "matchPolicy": "Equivalent"},
            "variables": [{"name": "v", "expression": "1"}],
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}},
            ],
            "failurePolicy": "Fail",
            "matchConditions": [{"name": "c", "expression": "true"}],
            "reinvocationPolicy": "IfNeeded",
        },
    }
    encoded = wire.encode(policy)
    assert encoded is not None
    assert wire.decode(encoded) == policy


def test_schemas_of_definitions() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"items": {"type": "string"}, "type": "array", "default": ["x"]},
            "b": {"additionalProperties": {"type": "integer"}, "type": "object"},
            "c": {"additionalProperties": True, "type": "object"},
            "d": {"x-kubernetes-preserve-unknown-fields": True, "type": "object", "nullable": True},
            "e": {"type": "string", "enum": ["p", "q"], "maximum": 1.5},
        },
    }
    document = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x.y"},
        "spec": {"group": "y", "versions": [{"name": "v1", "served": True, "storage": False, "schema": {"openAPIV3Schema": schema}}]},
    }
    encoded = wire.encode(document)
    assert encoded is not None
    read = wire.decode(encoded)
    assert read["spec"]["versions"][0] == document["spec"]["versions"][0]  # type: ignore[index]


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_breaks(data: bytes) -> None:
    for body in (data, MAGIC + data, wrap(Envelope("apps/v1", "Deployment", data))):
        try:
            document = wire.decode(body, GroupVersionKind("", "v1", "ConfigMap"))
        except ValueError:
            continue
        assert document["kind"]


def test_endless_nesting_is_refused() -> None:
    """A JSONSchemaProps whose ``not`` is one whose ``not`` is one…"""
    raw = b""
    for _ in range(5000):
        raw = b"\xda\x01" + _varint(len(raw)) + raw  # field 27: not
    schema = b"\x0a" + _varint(len(raw)) + raw
    version = b"\x22" + _varint(len(schema)) + schema
    spec = b"\x3a" + _varint(len(version)) + version
    body = wrap(Envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", b"\x12" + _varint(len(spec)) + spec))
    with pytest.raises(ValueError, match="nest deeper"):
        wire.decode(body)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def test_kinds_without_a_form_are_refused() -> None:
    with pytest.raises(ValueError, match="no protobuf form"):
        wire.decode(wrap(Envelope("example.com/v1", "Widget", b"")))
    assert wire.encode({"apiVersion": "example.com/v1", "kind": "Widget"}) is None
    assert unwrap(wrap(Envelope("v1", "Pod", b"x"))) == Envelope("v1", "Pod", b"x")
