# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v3 in JSON and in gnostic's protobuf: by the Accept header, cached apart, with the custom kinds of this control plane alone.

That both forms say the same is shown by gnostic itself, in tests/clients/go/openapi_test.go.
"""

from __future__ import annotations

import pytest
from support.client import Client, eventually
from support.objects import crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
ASKED = (CONTENT_TYPE, "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", f"{CONTENT_TYPE}, application/json;q=0.5")


@pytest.mark.parametrize("accept", ASKED)
def test_a_document_in_protobuf(vcp: Client, accept: str) -> None:
    url = vcp.get("/openapi/v3").ok()["paths"]["apis/apps/v1"]["serverRelativeURL"]
    answer = vcp.get(url, Accept=accept)
    assert (answer.code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    assert answer.body.startswith(b"\x0a\x053.0.0")  # field 1: openapi
    assert b"io.k8s.api.apps.v1.Deployment" in answer.body
    assert "immutable" in answer.headers["cache-control"]
    again = vcp.get(url, Accept=accept, If_None_Match=answer.headers["etag"])
    assert (again.code, again.body) == (304, b"")
    assert vcp.get(url, If_None_Match=answer.headers["etag"]).ok()["openapi"] == "3.0.0", "JSON is another representation"


def test_custom_kinds_of_one_control_plane(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(CRDS, crd(spec={"size": {"type": "string"}})).ok()
    eventually(lambda: "apis/example.com/v1" in a.get("/openapi/v3").ok()["paths"])
    assert b"com.example.v1.Widget" in a.get("/openapi/v3/apis/example.com/v1", Accept=CONTENT_TYPE).body
    assert b.get("/openapi/v3/apis/example.com/v1", Accept=CONTENT_TYPE).code == 404


def test_other_forms_are_refused(vcp: Client) -> None:
    vcp.get("/openapi/v3/api/v1", Accept="text/html").fails(406)
    assert "apis/apps/v1" in vcp.get("/openapi/v3", Accept=CONTENT_TYPE).ok()["paths"], "the index is JSON for everybody, as upstream"
