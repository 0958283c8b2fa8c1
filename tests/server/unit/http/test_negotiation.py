# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accept and Content-Type."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.http.negotiation import (
    GET_VIEWS,
    LIST_VIEWS,
    WATCH_VIEWS,
    Accepted,
    DiscoveryForm,
    Encoding,
    View,
    accept_discovery,
    accept_object,
    accepts_gzip,
    body_encoding,
    patch_type,
    require_json,
)
from kplane_server.model.errors import NotAcceptable, UnsupportedMediaType

KUBECTL_GET = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
CLIENT_GO = "application/vnd.kubernetes.protobuf,application/json"
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Accepted()),
        ("", Accepted()),
        ("*/*", Accepted()),
        ("application/json", Accepted()),
        ("application/json; charset=utf-8", Accepted()),
        (CLIENT_GO, Accepted()),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Accepted()),
        ("application/yaml", Accepted(encoding=Encoding.YAML)),
        ("application/yaml;q=0.5,application/json", Accepted()),
        ("application/yaml, application/json;q=0.9", Accepted(encoding=Encoding.YAML)),
        (KUBECTL_GET, Accepted(View.TABLE, "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Accepted(View.TABLE, "v1beta1")),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Accepted(View.METADATA_LIST, "v1")),
        ("application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/json", Accepted()),
    ],
)
def test_lists_are_answered_in_the_best_form_that_there_is(accept: str | None, expected: Accepted) -> None:
    assert accept_object(accept, LIST_VIEWS) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.kubernetes.protobuf",
        "text/plain",
        "application/json;q=0",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=other",
        "application/json;as=Table",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "application/json;q=banana",
        "x" * 3000,
    ],
)
def test_what_cannot_be_had_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        accept_object(accept, LIST_VIEWS)


def test_a_single_object_has_metadata_and_a_list_has_not() -> None:
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert accept_object(accept, GET_VIEWS).view is View.METADATA
    assert accept_object(accept, WATCH_VIEWS, stream=True).view is View.METADATA


def test_a_stream_has_no_yaml() -> None:
    with pytest.raises(NotAcceptable):
        accept_object("application/yaml", WATCH_VIEWS, stream=True)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, DiscoveryForm.LEGACY),
        ("application/json", DiscoveryForm.LEGACY),
        ("*/*", DiscoveryForm.LEGACY),
        (AGGREGATED, DiscoveryForm.AGGREGATED),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer," + AGGREGATED, DiscoveryForm.AGGREGATED),
        ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", DiscoveryForm.LEGACY),
    ],
)
def test_discovery_is_aggregated_for_who_takes_it(accept: str | None, expected: DiscoveryForm) -> None:
    assert accept_discovery(accept) is expected


def test_json_documents_refuse_other_forms() -> None:
    require_json("application/json;q=0.1,text/html")
    with pytest.raises(NotAcceptable):
        require_json("application/com.github.proto-openapi.spec.v3.v1.0+protobuf")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(None, Encoding.JSON), ("", Encoding.JSON), ("application/json; charset=utf-8", Encoding.JSON), ("Application/YAML", Encoding.YAML)],
)
def test_bodies_are_json_or_yaml(content_type: str | None, expected: Encoding) -> None:
    assert body_encoding(content_type) is expected


@pytest.mark.parametrize("content_type", ["text/plain", "application/cbor"])
def test_other_bodies_are_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        body_encoding(content_type)


def test_patches_must_say_their_format() -> None:
    assert patch_type("application/merge-patch+json; charset=utf-8") == "application/merge-patch+json"
    for content_type in (None, "", "application/json", "application/apply-patch+cbor"):
        with pytest.raises(UnsupportedMediaType):
            patch_type(content_type)


def test_gzip() -> None:
    assert accepts_gzip("gzip, deflate, br")
    assert not accepts_gzip("gzip;q=0")
    assert not accepts_gzip("identity")
    assert not accepts_gzip(None)


@given(st.text(max_size=100))
def test_any_accept_header_has_an_answer(accept: str) -> None:
    for negotiate in (lambda: accept_object(accept, LIST_VIEWS), lambda: accept_discovery(accept), lambda: require_json(accept)):
        with suppress(NotAcceptable):
            negotiate()
