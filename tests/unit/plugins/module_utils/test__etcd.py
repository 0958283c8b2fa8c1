# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages and batches, on a table in memory. The real etcd is in tests/upstream."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _etcd
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed


def plain(text):
    return base64.b64decode(text)


class Table(_etcd.Etcd):
    """An etcd that keeps everything in a dictionary, and notes the size of each call."""

    def __init__(self):
        super().__init__(connect=lambda: None)
        self.rows = {}
        self.revision = 1
        self.pages = []
        self.batches = []
        self.breaks = 0

    def _send(self, path, payload):
        if self.breaks:
            self.breaks -= 1
            raise ConnectionResetError("gone")
        body = json.loads(payload)
        return {"header": {"revision": str(self.revision)}, **getattr(self, path.rsplit("/", 1)[1])(body)}

    def range(self, body):
        keys = [key for key in sorted(self.rows) if plain(body["key"]) <= key < plain(body["range_end"])]
        if body.get("count_only"):
            return {"count": str(len(keys))}
        page = keys[: int(body["limit"])]
        self.pages.append(sum(len(self.rows[key][0]) for key in page))
        kvs = [{"key": _etcd.encode(key), "value": _etcd.encode(self.rows[key][0]), "lease": self.rows[key][1]} for key in page]
        return {"kvs": kvs, "more": len(page) < len(keys)}

    def txn(self, body):
        puts = [entry["request_put"] for entry in body["success"]]
        self.batches.append((len(puts), sum(len(plain(put["value"])) for put in puts)))
        self.rows.update({plain(put["key"]): (plain(put["value"]), "0") for put in puts})
        return {}

    def deleterange(self, body):
        for key in [key for key in self.rows if plain(body["key"]) <= key < plain(body["range_end"])]:
            del self.rows[key]
        return {}


def pairs(count, size, start=0):
    return [_etcd.Pair(_etcd.encode(b"/r/%06d" % number), _etcd.encode(b"v" * size)) for number in range(start, start + count)]


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 0), (99, 10), (5000, 100), (60, 700_000)])
def test_all_of_it_and_nothing_twice(count, size):
    table = Table()
    assert table.put(pairs(count, size)) == count
    assert [*table.pairs(b"/r/", 1)] == pairs(count, size)
    assert all(number <= 100 for number, unused in table.batches)
    assert all(weight <= 1024 * 1024 or number == 1 for number, weight in table.batches)
    # A page is some four megabytes as soon as it is known how large values are, and never fewer than ten keys.
    assert all(weight <= 8 * 1024 * 1024 for weight in table.pages[1:])
    table.clear(b"/r/")
    assert table.rows == {}


def test_leased_keys_and_others_are_left_out():
    table = Table()
    table.rows = {b"/r/a": (b"1", "0"), b"/r/b": (b"2", "7"), b"/r0": (b"3", "0"), b"/q": (b"4", "0")}
    assert [plain(pair.key) for pair in table.pairs(b"/r/", 1)] == [b"/r/a"]
    table.clear(b"/r/")
    assert sorted(table.rows) == [b"/q", b"/r0"]


def test_a_broken_connection_is_tried_again_and_not_for_ever():
    table = Table()
    table.breaks = 2
    assert table.count(b"/r/") == (0, 1)
    table.breaks = 3
    with pytest.raises(ConnectionFailed, match=r"etcd does not answer /v3/kv/range after 3 attempts: gone"):
        table.count(b"/r/")


@pytest.mark.parametrize(("prefix", "end"), [(b"/registry/", b"/registry0"), (b"a", b"b")])
def test_the_end_of_a_prefix(prefix, end):
    assert _etcd.prefix_end(prefix) == end
