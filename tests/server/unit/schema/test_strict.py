# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request bodies: JSON and YAML, their bounds, and duplicate fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.schema.strict import MAX_DEPTH, decode_json, decode_yaml

documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=15,
)


@given(documents)
def test_json_without_duplicates(document: Any) -> None:
    for indent in (None, 2):
        assert decode_json(json.dumps(document, indent=indent).encode(), duplicates=True) == (document, [])


def test_duplicates_are_told_with_their_paths_and_the_last_wins() -> None:
    body = b'{"a":{"b":1,"b":2,"c":[{"x":1,"x":2}]},"q":"\\":", "a" : {"b":3}}'
    assert decode_json(body, duplicates=True) == (
        {"a": {"b": 3}, "q": '":'},
        ['duplicate field "a.b"', 'duplicate field "a.c[0].x"', 'duplicate field "a"'],
    )
    assert decode_json(body) == ({"a": {"b": 3}, "q": '":'}, [])


def test_no_more_than_a_hundred_duplicates_are_told() -> None:
    body = b"{" + b",".join(b'"k%d":1,"k%d":1' % (i, i) for i in range(300)) + b"}"
    assert len(decode_json(body, duplicates=True)[1]) == 100


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b'{"a":1}x', b"\xff", b'{"a":NaN}', b"[" * 2000 + b"]" * 2000])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"json parse error|nested deeper"):
        decode_json(body)


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert decode_json(nested(MAX_DEPTH))[0]
    with pytest.raises(ValueError, match="nested deeper"):
        decode_json(nested(MAX_DEPTH + 1))
    with pytest.raises(ValueError, match="nested deeper"):
        decode_yaml(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert decode_json(json.dumps([[1]] * 5000).encode())[0][4999] == [1]


@given(documents)
def test_json_is_yaml(document: Any) -> None:
    assert decode_yaml(json.dumps({"a": document}).encode())[0] == {"a": document}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("0x1F", 31),
        ("0b11", 3),
        ("010", 8),
        ("0o10", 8),
        ("1_000", 1000),
        ("-5", -5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
        ("18446744073709551616", 18446744073709551616.0),
        ("!!binary aGk=", "aGk="),
        ("!custom text", "text"),
    ],
)
def test_yaml_scalars(text: str, value: Any) -> None:
    found = decode_yaml(f"a: {text}\n".encode())[0]["a"]
    assert found == value
    assert type(found) is type(value)


def test_yaml_documents() -> None:
    body = b"---\na: 1\n1: one\ntrue: yes\n1.5: x\nbase: &b {q: 1}\ncopy: *b\n<<: *b\n---\nother: document\n"
    document, _ = decode_yaml(body)
    assert document == {"a": 1, "1": "one", "true": True, "1.5": "x", "base": {"q": 1}, "copy": {"q": 1}, "q": 1}
    assert document["base"] is not document["copy"]
    assert decode_yaml(b"a: 1\nb: 2\na: 3\n", duplicates=True) == ({"a": 3, "b": 2}, ['line 3: key "a" already set in map'])


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9))


@pytest.mark.parametrize(
    "body",
    [
        b"a: [",
        b"\ta: 1",
        b"a: &a [*a]",
        b"a: .inf",
        b"a: .nan",
        b"? [x]\n: y",
        b"a: !!python/object:os.system {}",
        b"a: *missing",
        BOMB,
        b"a: \x01",
    ],
)
def test_yaml_that_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="error converting YAML to JSON"):
        decode_yaml(body)


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_refused(body: bytes) -> None:
    for decode in (decode_json, decode_yaml):
        try:
            document, _ = decode(body, duplicates=True)
        except ValueError:
            continue
        json.dumps(document, allow_nan=False)
