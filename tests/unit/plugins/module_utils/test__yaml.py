# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kplane.core.plugins.module_utils import _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz-.", max_size=8), inner, max_size=4)
)


@given(DOCUMENTS)
def test_what_is_written_is_read_again(document):
    assert _yaml.load(_yaml.dump(document), "x") == document


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00Z", "1_000", "12:30:45", "0x1f", "0777", "1e3", ".5", "+1"])
def test_what_only_some_readers_take_for_something_else_stays_text(text):
    loaded = _yaml.load(b"a: " + text.encode(), "x")
    assert loaded == {"a": text}
    assert _yaml.load(_yaml.dump(loaded), "x") == loaded


def test_numbers_and_booleans_are_what_they_are():
    assert _yaml.load(b"{a: 8443, b: true, c: 1.5, d: null, e: -1, f: yes}", "x") == {
        "a": 8443,
        "b": True,
        "c": 1.5,
        "d": None,
        "e": -1,
        "f": True,
    }


def test_json_is_read_too():
    assert _yaml.load(b'{"a": {"b": [1, "x"]}}', "x") == {"a": {"b": [1, "x"]}}


@pytest.mark.parametrize("content", [b"a: [secret-token", b"\ttoken: secret-token", b"a: 'secret-token", b"\x80\x81 secret-token"])
def test_what_is_malformed_is_an_error_that_names_the_file_and_quotes_nothing(content):
    with pytest.raises(KplaneError) as caught:
        _yaml.load(content, "/home/jo/.kube/config")
    assert "/home/jo/.kube/config" in caught.value.message
    assert "secret-token" not in caught.value.message


def test_code_in_a_file_is_refused():
    with pytest.raises(KplaneError):
        _yaml.load(b"!!python/object/apply:os.system ['true']", "x")
