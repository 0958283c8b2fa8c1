# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation rules of custom resources through the front door: what they may cost, and who waits for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.client import Client
from support.objects import config_map

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LISTS = "/apis/rules.example.com/v1/namespaces/default/lists"
PAIRS = {"rule": "self.all(x, self.all(y, x + y >= 0))", "message": "negative"}


def definition(most: int, **more: Any) -> dict[str, Any]:
    items = {"type": "array", "maxItems": most, "items": {"type": "integer"}, "x-kubernetes-validations": [PAIRS], **more}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": items}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "lists", "kind": "Many"}
    spec = {"group": "rules.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "lists.rules.example.com"}, "spec": spec}


def many(name: str, items: list[int]) -> dict[str, Any]:
    return {"apiVersion": "rules.example.com/v1", "kind": "Many", "metadata": {"name": name}, "spec": {"l": items}}


def test_a_definition_is_refused_for_what_its_rules_may_cost(vcp: Client) -> None:
    at = "spec.validation.openAPIV3Schema.properties[spec].properties[l]"
    (cause,) = vcp.post(CRDS, definition(2000)).fails(422, "Invalid")["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueForbidden", f"{at}.x-kubernetes-validations[0].rule")
    assert cause["message"].startswith("Forbidden: estimated rule cost exceeds budget by factor of 2.8x (try simplifying the rule")
    (cause,) = vcp.post(CRDS, definition(900, default=[1, -5])).fails(422, "Invalid")["details"]["causes"]
    assert cause == {"reason": "FieldValueInvalid", "message": 'Invalid value: "array": negative', "field": f"{at}.default"}
    vcp.post(CRDS, definition(900, default=[1, 5])).ok()


def test_others_are_answered_while_a_dear_document_is_judged(vcp: Client) -> None:
    vcp.post(CRDS, definition(900)).ok()
    with ThreadPoolExecutor(2) as pool:
        dear = [pool.submit(vcp.post, LISTS, many(f"m{size}", list(range(size)))) for size in (300, 310)]
        for index in range(5):
            vcp.post("/api/v1/namespaces/default/configmaps", config_map(f"c{index}", {})).ok()
        for made in dear:
            made.result().ok()
    refused = vcp.post(LISTS, many("huge", list(range(800)))).fails(422, "Invalid")
    assert "no further validation rules will be run due to call cost exceeds limit for rule: negative" in refused["message"]
