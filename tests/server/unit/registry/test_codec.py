# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents to bytes and back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import BadRequest, RequestEntityTooLarge
from kplane_server.registry import codec

TEXT = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.builds(
    lambda metadata, rest: {**rest, "apiVersion": "v1", "kind": "Thing", "metadata": metadata},
    st.dictionaries(TEXT.filter(lambda k: k != "resourceVersion"), VALUES, max_size=4),
    st.dictionaries(TEXT, VALUES, max_size=4),
)


@given(DOCUMENTS, st.integers(1, 2**62))
def test_what_is_encoded_is_what_is_decoded(document: Any, revision: int) -> None:
    value = codec.encode(document).at(revision)
    decoded = orjson.loads(value)
    assert decoded["metadata"].pop("resourceVersion") == str(revision)
    assert decoded == document
    assert value.startswith(b'{"apiVersion":"v1","kind":"Thing","metadata":{"resourceVersion":"')


@given(DOCUMENTS, st.integers(1, 2**62), st.integers(1, 2**62))
def test_a_spliced_revision_is_that_of_a_new_encoding(document: Any, first: int, second: int) -> None:
    draft = codec.encode(document)
    assert codec.with_revision(draft.at(first), second) == draft.at(second)
    assert codec.draft_of(draft.at(first)) == draft


@given(DOCUMENTS)
def test_a_spliced_version_changes_nothing_else(document: Any) -> None:
    value = codec.encode(document).at(7)
    changed = codec.with_api_version(value, "v1", "example.com/v2")
    assert orjson.loads(changed) == {**orjson.loads(value), "apiVersion": "example.com/v2"}


def test_a_layer_document_with_another_order_is_spliced_too() -> None:
    value = b'{"kind":"A","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"3"}}'
    assert orjson.loads(codec.with_revision(value, 9))["metadata"] == {"name": "x", "resourceVersion": "9"}
    assert orjson.loads(codec.with_api_version(value, "v1", "v2"))["apiVersion"] == "v2"


def test_a_document_that_is_too_large_is_refused() -> None:
    document = {"apiVersion": "v1", "kind": "A", "metadata": {}, "data": "x" * codec.MAX_DOCUMENT_BYTES}
    with pytest.raises(RequestEntityTooLarge, match="request is too large"):
        codec.encode(document)


def test_what_is_not_unicode_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="cannot be encoded"):
        codec.encode({"apiVersion": "v1", "kind": "A", "metadata": {"name": "\ud800"}})


def test_an_old_revision_does_not_survive_an_encoding() -> None:
    document = {"apiVersion": "v1", "kind": "A", "metadata": {"resourceVersion": "1", "name": "x"}}
    assert orjson.loads(codec.encode(document).at(2))["metadata"] == {"resourceVersion": "2", "name": "x"}
    assert orjson.loads(codec.encode_without_revision(document))["metadata"] == {"name": "x"}
