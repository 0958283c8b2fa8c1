# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths: the boundary of a control plane, resources, verbs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.http.routing import ApiRequest, check_path, resolve, split_vcp
from kplane_server.model.errors import BadRequest, MethodNotAllowed, NotFound


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/", "root", "/"),
        ("/api/v1", "root", "/api/v1"),
        ("/clusters/root/control-plane/api", "root", "/api"),
        ("/clusters/a/control-plane", "a", "/"),
        ("/clusters/a/control-plane/", "a", "/"),
        ("/clusters/a/control-plane/api/v1/namespaces/clusters/pods", "a", "/api/v1/namespaces/clusters/pods"),
        ("/clusters/a/control-plane/clusters/b/control-plane/api", "a", "/clusters/b/control-plane/api"),
        ("/clustersX/a", "root", "/clustersX/a"),
        ("/clusters", "root", "/clusters"),
    ],
)
def test_the_prefix_selects_the_control_plane(path: str, name: str, rest: str) -> None:
    assert split_vcp(path) == (name, rest)


@pytest.mark.parametrize(
    "path",
    [
        "/clusters/",
        "/clusters/a",
        "/clusters/a/",
        "/clusters/a/other",
        "/clusters/a/control-planeX/api",
        "/clusters//control-plane/api",
        "/clusters/A/control-plane/api",
        "/clusters/a_b/control-plane/api",
        "/clusters/-a/control-plane/api",
        f"/clusters/{'a' * 64}/control-plane/api",
        "/clusters/a.b/control-plane/api",
    ],
)
def test_a_prefix_without_its_boundary_or_a_legal_name_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        split_vcp(path)


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/namespaces/n/pods/p", {}, ("get", "", "v1", "pods", "n", "p", "")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", {}, ("get", "", "v1", "pods", "n", "p", "log")),
        ("GET", "/api/v1/namespaces/n/pods/p", {"watch": "1"}, ("get", "", "v1", "pods", "n", "p", "")),
        ("GET", "/api/v1/pods", {}, ("list", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods/", {}, ("list", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": "true"}, ("watch", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": ""}, ("watch", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": "0"}, ("list", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/watch/namespaces/n/pods", {}, ("watch", "", "v1", "pods", "n", "", "")),
        ("GET", "/api/v1/watch/namespaces/n/pods/p", {}, ("watch", "", "v1", "pods", "n", "p", "")),
        ("GET", "/api/v1/namespaces/n/pods", {"fieldSelector": "metadata.name=p"}, ("list", "", "v1", "pods", "n", "p", "")),
        ("GET", "/api/v1/namespaces/n/pods", {"fieldSelector": "metadata.name!=p"}, ("list", "", "v1", "pods", "n", "", "")),
        ("POST", "/api/v1/namespaces/n/serviceaccounts/s/token", {}, ("create", "", "v1", "serviceaccounts", "n", "s", "token")),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments", {}, ("deletecollection", "apps", "v1", "deployments", "n", "", "")),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments/d", {}, ("delete", "apps", "v1", "deployments", "n", "d", "")),
        ("PUT", "/apis/g.io/v1/things/t", {}, ("update", "g.io", "v1", "things", "", "t", "")),
        ("GET", "/api/v1/namespaces/n", {}, ("get", "", "v1", "namespaces", "n", "n", "")),
        ("PUT", "/api/v1/namespaces/n/finalize", {}, ("update", "", "v1", "namespaces", "n", "n", "finalize")),
        ("GET", "/api/v1/namespaces/clusters/configmaps/x", {}, ("get", "", "v1", "configmaps", "clusters", "x", "")),
        ("GET", "/api/v1", {}, ("get", "", "", "", "", "", "")),
        ("GET", "/apis/apps/v1", {}, ("get", "", "", "", "", "", "")),
        ("POST", "/version", {}, ("post", "", "", "", "", "", "")),
    ],
)
def test_a_path_names_its_resource_and_verb(method: str, path: str, query: dict[str, str], expected: tuple[str, ...]) -> None:
    verb, group, version, resource, namespace, name, subresource = expected
    assert resolve(method, path, query) == ApiRequest(path, verb, group, version, resource, namespace, name, subresource)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO", "get", ""])
def test_other_methods_are_not_allowed(method: str) -> None:
    with pytest.raises(MethodNotAllowed):
        resolve(method, "/api/v1/pods", {})


@pytest.mark.parametrize("path", ["/api/v1//pods", "/apis//v1/things", "/api/v1/namespaces//pods", "/api/v1/pods/p/log/more"])
def test_empty_and_surplus_segments_are_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        resolve("GET", path, {})


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/..", "/a/..", "/a\x00b", "/a\nb", "/a\x7f", "/\ufffd", "", "a", "/" + "x" * 4096])
def test_unclean_paths_are_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        check_path(path, 4096)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/api/v1/a..b", "/a.b/...", "/api/v1/namespaces/ü"])
def test_dots_inside_segments_are_fine(path: str) -> None:
    check_path(path, 4096)


@given(st.text(max_size=200), st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]))
def test_any_text_ends_in_a_request_or_a_client_error(text: str, method: str) -> None:
    path = "/" + text
    try:
        check_path(path, 4096)
        name, rest = split_vcp(path)
        request = resolve(method, rest, {})
    except (BadRequest, NotFound, MethodNotAllowed):
        return
    assert name
    assert "/" not in request.resource + request.namespace + request.name + request.subresource
    assert request.path == rest


@given(st.lists(st.text(alphabet="abc/.-%x", min_size=1, max_size=8), min_size=1, max_size=6))
def test_nothing_below_a_control_plane_reaches_another(segments: list[str]) -> None:
    path = "/clusters/mine/control-plane/" + "/".join(segments)
    assert split_vcp(path)[0] == "mine"
