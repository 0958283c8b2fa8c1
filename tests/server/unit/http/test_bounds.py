# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds, bodies, errors, metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest

from kplane_server.http.inflight import InFlight
from kplane_server.http.metrics import MAX_COUNTED_VCPS, TOP_VCPS, Metrics
from kplane_server.http.request import parse_flag, parse_query, read_bounded
from kplane_server.http.response import MAX_WARNINGS, error_response, warning_headers
from kplane_server.model.errors import ApiError, BadRequest, RequestEntityTooLarge, TooManyRequests, Unauthorized


class FakeIncoming:
    """A request whose body comes in chunks."""

    method, path, query_string, client = "POST", "/", "", "here"

    def __init__(self, chunks: list[bytes], announced: str | None = None) -> None:
        self.chunks = chunks
        self.announced = announced
        self.taken = 0

    def header(self, name: str) -> str | None:
        return self.announced if name == "content-length" else None

    def header_values(self, name: str) -> list[str]:
        return []

    def header_names(self) -> list[str]:
        return []

    def headers(self) -> list[tuple[str, str]]:
        return []

    async def body_chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk

    async def read_body(self) -> bytes:
        return b"".join(self.chunks)


async def test_a_body_is_read_whole() -> None:
    assert await read_bounded(FakeIncoming([b"ab", b"c"]), 3) == b"abc"
    assert await read_bounded(FakeIncoming([b"ab", b"c"], "3"), 3) == b"abc"


async def test_a_body_that_grows_too_large_is_not_read_further() -> None:
    incoming = FakeIncoming([b"x" * 10] * 1000)
    with pytest.raises(RequestEntityTooLarge):
        await read_bounded(incoming, 25)
    assert incoming.taken == 3


@pytest.mark.parametrize("announced", ["4", "99999999999999999999999"])
async def test_a_body_announced_too_large_is_not_read_at_all(announced: str) -> None:
    incoming = FakeIncoming([b"x"], announced)
    with pytest.raises(RequestEntityTooLarge):
        await read_bounded(incoming, 3)


@pytest.mark.parametrize("announced", ["-1", "1e3", "²", ""])
async def test_a_length_that_is_no_number_is_refused(announced: str) -> None:
    with pytest.raises(BadRequest):
        await read_bounded(FakeIncoming([b"x"], announced), 3)


async def test_a_truncated_body_is_refused() -> None:
    with pytest.raises(BadRequest, match="ended after 2 of 3"):
        await read_bounded(FakeIncoming([b"ab"], "3"), 10)


def test_queries() -> None:
    assert parse_query("") == {}
    assert parse_query("a=1&a=2&b&c=%2F") == {"a": "1", "b": "", "c": "/"}
    with pytest.raises(BadRequest):
        parse_query("&".join(f"a{n}=1" for n in range(500)))
    with pytest.raises(BadRequest):
        parse_query("a=%ff")


def test_flags() -> None:
    assert [parse_flag(value) for value in (None, "", "1", "true", "0", "False", "no")] == [False, True, True, True, False, False, True]


def test_an_error_is_a_status() -> None:
    response = error_response(TooManyRequests("slow down", retry_after=2))
    assert (response.status, response.content_type) == (429, "application/json")
    assert ("retry-after", "2") in response.headers
    document = orjson.loads(response.body)
    assert document["details"] == {"retryAfterSeconds": 2}
    assert (document["kind"], document["apiVersion"], document["status"]) == ("Status", "v1", "Failure")
    assert document["reason"] == "TooManyRequests"
    assert orjson.loads(error_response(Unauthorized("Unauthorized")).body)["code"] == 401


def test_warnings_are_safe_in_a_header() -> None:
    ((name, value),) = warning_headers(['say "hi"\r\nX-Evil: 1', 'say "hi"\r\nX-Evil: 1'])
    assert name == "warning"
    assert value == '299 - "say \\"hi\\"  X-Evil: 1"'
    assert len(warning_headers([str(n) for n in range(100)])) == MAX_WARNINGS
    assert warning_headers(["ü"])[0][1].isascii()


def test_in_flight_bounds_the_server_and_each_control_plane() -> None:
    bound = InFlight(3, 2, "things")
    bound.enter(1)
    bound.enter(1)
    with pytest.raises(TooManyRequests) as refused:
        bound.enter(1)
    assert refused.value.retry_after > 0
    bound.enter(2)
    with pytest.raises(TooManyRequests):
        bound.enter(3)
    bound.leave(1)
    bound.enter(3)
    for plane in (1, 2, 3):
        bound.leave(plane)
    assert bound.total == 0
    assert bound._planes == {}


def test_metrics_count_requests() -> None:
    metrics = Metrics()
    metrics.observe("get", "core", 200, 0.0007, "demo")
    metrics.observe("get", "core", 200, 70.0, "demo")
    metrics.add_source("kplane_storage", "Of the store.", lambda: {"objects": 3, "bytes.total": 1.5})
    lines = metrics.render().decode().splitlines()
    assert 'kplane_requests_total{verb="get",group="core",code="200"} 2' in lines
    assert 'kplane_request_duration_seconds_bucket{verb="get",le="0.001"} 1' in lines
    assert 'kplane_request_duration_seconds_bucket{verb="get",le="60.0"} 1' in lines
    assert 'kplane_request_duration_seconds_bucket{verb="get",le="+Inf"} 2' in lines
    assert 'kplane_vcp_requests_total{vcp="demo"} 2' in lines
    assert "kplane_storage_objects 3" in lines
    assert "kplane_storage_bytes_total 1.5" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_metrics_have_a_bounded_number_of_series() -> None:
    metrics = Metrics()
    for number in range(MAX_COUNTED_VCPS * 3):
        metrics.observe("get", "core", 200, 0.001, f"vcp-{number}")
    for _ in range(100):
        metrics.observe("get", "core", 200, 0.001, "busy")
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith("kplane_vcp_requests_total{")]
    assert len(lines) == TOP_VCPS + 1
    assert lines[0] == 'kplane_vcp_requests_total{vcp="busy"} 100'
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == MAX_COUNTED_VCPS * 3 + 100
    assert len(metrics._vcps) <= MAX_COUNTED_VCPS


def test_every_error_class_renders_its_own_code() -> None:
    def below(kind: type[ApiError]) -> list[type[ApiError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    for kind in below(ApiError):
        if kind.__init__ is ApiError.__init__:
            response = error_response(kind("x"))
            assert response.status == orjson.loads(response.body)["code"] == kind.code
