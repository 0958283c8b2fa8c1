# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom resources: their definitions, schemas, rules, sub-resources, columns."""

from __future__ import annotations

from typing import Any

from scenario import APPLY, PARTIAL, STRATEGIC, TABLE, Case, Step, apply, delete, get, patch, post, put, settled, watch

from parity.documents import Json

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "<<id>>.example.com"
W = f"/apis/{GROUP}/v1/namespaces/<<ns>>/widgets"

SPEC: Json = {
    "type": "object",
    "required": ["size"],
    "x-kubernetes-validations": [
        {"rule": "self.size <= self.limit", "message": "size over limit", "fieldPath": ".size"},
        {"rule": "self.size >= oldSelf.size", "messageExpression": "'shrinks'"},
    ],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 100},
        "limit": {"type": "integer", "default": 10},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
        "mode": {"type": "string", "enum": ["A", "B"], "default": "A"},
        "when": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": True},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "string", "nullable": True},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "x-kubernetes-list-type": "set"},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "n": {"type": "integer", "default": 1}},
            },
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
        "ratio": {"type": "number", "multipleOf": 0.5},
        "choice": {
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        },
    },
}
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": SPEC,
        "status": {
            "type": "object",
            "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}


def definition(schema: Json = SCHEMA, **more: Any) -> Json:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"},
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.mode"}],
    }
    names = {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
        "categories": ["all"],
    }
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version], **more}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": spec,
    }


MADE = (post(CRDS, definition()), settled(f"{CRDS}/widgets.{GROUP}", "Established", "True"), settled(W, "kind", "WidgetList"))


def widget(called: str, **spec: Any) -> Json:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": called}, "spec": {"size": 1, **spec}}


def bad(schema: Json, **more: Any) -> Step:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
    }
    return post(CRDS, definition(**{"versions": [version], **more}))


WRONG: list[Json] = [
    {"size": 0},
    {"size": 200, "limit": 300},
    {"size": "x"},
    {"size": 1.5},
    {"size": None},
    {"size": 11},
    {"name": "TOO-LONG"},
    {"name": "a"},
    {"mode": "C"},
    {"when": "yesterday"},
    {"port": True},
    {"port": "x"},
    {"tags": ["a", "a"]},
    {"tags": ["a", "b", "c"]},
    {"parts": [{"n": 1}]},
    {"parts": [{"id": "a"}, {"id": "a"}]},
    {"labels": {"a": 1}},
    {"labels": {"a": "1", "b": "2", "c": "3"}},
    {"ratio": 0.7},
    {"choice": {}},
    {"choice": {"a": "1", "b": "2"}},
    {"open": []},
    {"mode": None, "maybe": None},
    {"unknown": 1},
]

CASES = [
    Case(
        "custom/life",
        (
            *MADE,
            get(f"{CRDS}/widgets.{GROUP}"),
            get(f"/apis/{GROUP}"),
            get(f"/apis/{GROUP}/v1"),
            post(W, widget("a", parts=[{"id": "x"}], unknown=1, open={"any": {"thing": None}}, maybe=None), keep="made"),
            post(f"{W}?fieldValidation=Strict", widget("b", unknown=1)),
            post(W, widget("a")),
            get(f"{W}/a"),
            get(W),
            get(W, Accept=TABLE),
            get(f"{W}/a", Accept=TABLE),
            get(f"{W}/a", Accept=PARTIAL),
            put(f"{W}/a", widget("a", size=5)),
            put(f"{W}/a", {**widget("a", size=5), "metadata": {"name": "a", "resourceVersion": "<<made.metadata.resourceVersion>>"}}),
            patch(f"{W}/a", {"spec": {"size": 3}}),
            patch(f"{W}/a", {"spec": {"size": 6, "mode": None}}),
            patch(f"{W}/a", {"spec": {"size": 7}}, STRATEGIC),
            patch(f"{W}/a/status", {"status": {"phase": "Up", "replicas": 2, "selector": "x=y"}, "spec": {"size": 50}}),
            get(f"{W}/a/scale"),
            patch(f"{W}/a/scale", {"spec": {"replicas": 8}}),
            put(f"{W}/a/scale", {"metadata": {"name": "a"}, "spec": {"replicas": -1}}),
            get(f"{W}?fieldSelector=spec.mode%3DA"),
            get(f"{W}?fieldSelector=spec.size%3DA"),
            watch(f"{W}?watch=true&resourceVersion=<<made.metadata.resourceVersion>>&timeoutSeconds=1"),
            delete(f"{W}/a"),
            get(f"{W}/a"),
            get(f"/apis/{GROUP}/v2/namespaces/<<ns>>/widgets"),
            get(f"/apis/{GROUP}/v1/namespaces/<<ns>>/gadgets"),
        ),
    ),
    Case("custom/validation", (*MADE, *(post(f"{W}?dryRun=All", widget("x", **spec)) for spec in WRONG))),
    Case(
        "custom/apply",
        (
            *MADE,
            apply(f"{W}/a", widget("a", parts=[{"id": "x"}], tags=["t"])),
            apply(f"{W}/a", widget("a", parts=[{"id": "y", "n": 2}], tags=["u"]), "two"),
            apply(f"{W}/a", widget("a", size=3), "two"),
            apply(f"{W}/a", widget("a", size=3), "two", "&force=true"),
            apply(f"{W}/a", widget("a", parts=[])),
            apply(f"{W}/a", widget("a", unknown=1), "three"),
            apply(
                f"{W}/a/status",
                {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "a"}, "status": {"phase": "Up"}},
                "operator",
            ),
            apply(
                f"{W}/a/scale",
                {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 9}},
                "scaler",
            ),
            get(f"{W}/a"),
        ),
    ),
    Case(
        "custom/wrong definitions",
        (
            post(CRDS, {**definition(), "metadata": {"name": "other"}}),
            post(CRDS, definition(scope="Odd")),
            post(CRDS, definition(group="bad_group")),
            post(CRDS, definition(versions=[])),
            post(CRDS, definition(versions=[{"name": "v1", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}}])),
            post(CRDS, definition(versions=[{"name": "V1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}])),
            post(CRDS, definition(versions=[{"name": "v1", "served": True, "storage": True}])),
            post(CRDS, definition(names={"plural": "widgets", "kind": "widget_"})),
            post(CRDS, definition(conversion={"strategy": "Webhook"})),
            post(CRDS, definition(preserveUnknownFields=True)),
            bad({"type": "object", "properties": {"a": {}}}),
            bad({"type": "odd"}),
            bad({"type": "array"}),
            bad({"type": "string", "pattern": "("}),
            bad({"type": "integer", "default": "x"}),
            bad({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            bad({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            bad({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "odd"}),
            bad({"type": "object", "x-kubernetes-validations": [{"rule": "self.x == 1"}]}),
            bad({"type": "string", "x-kubernetes-validations": [{"rule": "self + 1 == 2"}]}),
            bad({"type": "string", "x-kubernetes-validations": [{"rule": "size(self)", "message": " "}]}),
            bad({"type": "string", "x-kubernetes-validations": [{"rule": "", "reason": "Odd"}]}),
            bad({"type": "string", "nullable": True, "format": "odd", "x-kubernetes-int-or-string": True}),
            bad({"type": "object", "x-kubernetes-embedded-resource": True}),
            bad(
                {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('.*a.*') && self.contains('b')"}]},
                    },
                }
            ),
            bad({"type": "string", "uniqueItems": True}),
            bad(
                {"type": "string"},
                versions=[{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "string"}}}],
            ),
        ),
        words=False,
    ),
    Case(
        "custom/definitions change",
        (
            *MADE,
            patch(f"{CRDS}/widgets.{GROUP}", {"spec": {"scope": "Cluster"}}),
            patch(f"{CRDS}/widgets.{GROUP}", {"spec": {"group": "other.example.com"}}),
            patch(f"{CRDS}/widgets.{GROUP}", {"spec": {"names": {"plural": "others"}}}),
            patch(f"{CRDS}/widgets.{GROUP}", {"spec": {"names": {"kind": "Other"}}}),
            Step("PATCH", f"{CRDS}/widgets.{GROUP}", {"spec": {}}, STRATEGIC),
            Step("PATCH", f"{W}/a?fieldManager=x", b"apiVersion: v1\nkind: Widget\nmetadata: {name: a}\n", APPLY),
            delete(f"{CRDS}/none.example.com"),
        ),
    ),
]
