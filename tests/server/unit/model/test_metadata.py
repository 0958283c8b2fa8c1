# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import metadata
from kplane_server.model.names import is_dns_label, is_dns_subdomain


@given(st.text(alphabet="aB0-._/", max_size=12))
def test_problems_agree_with_the_plain_rules(text: str) -> None:
    assert (not metadata.dns1123_label_problems(text)) == is_dns_label(text)
    assert (not metadata.dns1123_subdomain_problems(text)) == is_dns_subdomain(text)


@pytest.mark.parametrize("name", ["a", "A.b_c-d", "example.com/name", "a" * 63])
def test_qualified_names(name: str) -> None:
    assert metadata.qualified_name_problems(name) == []


@pytest.mark.parametrize("name", ["", "/a", "a/", "a/b/c", "-a", "a" * 64, "EXAMPLE.com/a", "a" * 5000, "a b"])
def test_names_that_are_not_qualified(name: str) -> None:
    assert metadata.qualified_name_problems(name)


def test_generated_prefixes_may_end_with_a_dash() -> None:
    assert metadata.subdomain_name("web-", True) == []
    assert metadata.subdomain_name("web-") != []
    assert metadata.label_1035_name("web-", True) == []
    assert metadata.path_segment_name("system:x", False) == []
    assert metadata.path_segment_name("a/b", False) == ["may not contain '/'"]


def test_creation() -> None:
    good = {"name": "a", "namespace": "b", "labels": {"x": "y"}, "annotations": {"X/y": "any text"}, "finalizers": ["k.io/f"]}
    assert metadata.metadata_causes({**good, "annotations": {"x/Y": "any text"}}, namespaced=True, rule=metadata.subdomain_name) == []
    bad = {
        "generateName": "A-",
        "namespace": "b.c",
        "labels": {"-": "!"},
        "annotations": {"k": "v" * 300_000},
        "finalizers": ["orphan", "foregroundDeletion"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "", "controller": True}, {"controller": True}],
        "managedFields": [{"operation": "Guess", "fieldsType": "V2", "manager": "m" * 200}],
    }
    fields = {cause.field for cause in metadata.metadata_causes(bad, namespaced=True, rule=metadata.subdomain_name)}
    assert fields == {
        "metadata.generateName",
        "metadata.name",
        "metadata.namespace",
        "metadata.labels",
        "metadata.annotations",
        "metadata.finalizers",
        "metadata.ownerReferences",
        "metadata.ownerReferences.apiVersion",
        "metadata.ownerReferences.kind",
        "metadata.ownerReferences.name",
        "metadata.ownerReferences.uid",
        "metadata.managedFields[0].operation",
        "metadata.managedFields[0].fieldsType",
        "metadata.managedFields[0].manager",
    }
    causes = metadata.metadata_causes({"name": "a", "namespace": "b"}, namespaced=False, rule=metadata.subdomain_name)
    assert [cause.message for cause in causes] == ["Forbidden: not allowed on this type"]


def test_change() -> None:
    old = {"name": "a", "uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["k.io/a"]}
    assert metadata.metadata_update_causes({**old, "finalizers": []}, old) == []
    causes = metadata.metadata_update_causes({**old, "uid": "2", "finalizers": ["k.io/a", "k.io/b"]}, old)
    assert {cause.field for cause in causes} == {"metadata.uid", "metadata.finalizers"}
    assert 'found new finalizers []string{"k.io/b"}' in causes[0].message
