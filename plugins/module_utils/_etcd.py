# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd by its JSON API (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/): reading all of a prefix at one revision, replacing it.

Keys and values stay base64, as that API has them. PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import http.client
import json
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, KplaneError

Json = t.Dict[str, t.Any]
#: Something with ``sendall``, ``makefile`` and ``close``, that leads to a member of etcd.
Socket = t.Any

_ATTEMPTS: t.Final = 3
_MAX_ANSWER: t.Final = 512 * 1024 * 1024
#: Pages grow and shrink between these numbers of keys, so that one is about so many bytes.
_PAGE_KEYS: t.Final = (10, 2000)
_PAGE_BYTES: t.Final = 4 * 1024 * 1024
#: Below etcd's own bounds of a transaction: 128 operations, 1.5 MiB.
_BATCH_KEYS: t.Final = 100
_BATCH_BYTES: t.Final = 1024 * 1024
#: A key of ours, outside of what the API server reads.
_COUNTER: t.Final = b"kplane.core/revision"
_WRITERS: t.Final = 8
_COMPACTED: t.Final = "has been compacted"


class EtcdError(KplaneError):
    """etcd refused something."""


class Pair(t.NamedTuple):
    """One key and its value, both base64."""

    key: str
    value: str


def encode(data: bytes) -> str:
    """Base64, as the JSON API wants it."""
    return base64.b64encode(data).decode()


def prefix_end(prefix: bytes) -> bytes:
    """The key after all that begin with ``prefix``."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


class Etcd:
    """Talks to one member; ``connect`` makes a connection. For one thread."""

    def __init__(self, connect: t.Callable[[], Socket]) -> None:
        self._connect = connect
        self._http: http.client.HTTPConnection | None = None

    def __enter__(self) -> Etcd:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def call(self, path: str, body: Json) -> Json:
        """One call. All that is called here may be repeated, so it is, when the connection breaks."""
        payload = json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send(path, payload)
            except (OSError, http.client.HTTPException, ConnectionFailed) as exc:
                self.close()
                if attempt == _ATTEMPTS:
                    message = exc.message if isinstance(exc, KplaneError) else str(exc) or type(exc).__name__
                    raise ConnectionFailed(f"etcd does not answer {path} after {attempt} attempts: {message}") from exc
        raise AssertionError("not reached")

    def _send(self, path: str, payload: bytes) -> Json:
        if self._http is None:
            made = http.client.HTTPConnection("localhost")
            made.auto_open = 0
            made.sock = self._connect()
            self._http = made
        self._http.request("POST", path, payload, {"Content-Type": "application/json"})
        answer = self._http.getresponse()
        content = answer.read(_MAX_ANSWER + 1)
        if len(content) > _MAX_ANSWER:
            raise EtcdError(f"The answer of etcd to {path} is larger than {_MAX_ANSWER} bytes")
        try:
            document = json.loads(content)
        except ValueError as exc:
            raise EtcdError(f"etcd answered {path} with something that is not JSON: {content[:200]!r}") from exc
        if answer.status >= 300:
            words = (document.get("message") or document.get("error")) if isinstance(document, dict) else ""
            raise EtcdError(f"etcd refused {path}: {words or content[:200].decode(errors='replace')}")
        if not isinstance(document, dict):
            raise EtcdError(f"etcd answered {path} with JSON that is not an object")
        return document

    def count(self, prefix: bytes) -> tuple[int, int]:
        """How many keys there are, and the revision now."""
        found = self.call("/v3/kv/range", {"key": encode(prefix), "range_end": encode(prefix_end(prefix)), "count_only": True})
        return int(found.get("count") or 0), int(found["header"]["revision"])

    def pairs(self, prefix: bytes, revision: int) -> t.Iterator[Pair]:
        """All that had no lease at ``revision``; what has one is gone soon, and its owner writes it again."""
        for page in self._pages({"key": encode(prefix), "range_end": encode(prefix_end(prefix)), "revision": str(revision)}):
            yield from (Pair(entry["key"], entry.get("value", "")) for entry in page if not int(entry.get("lease") or 0))

    def _pages(self, query: Json) -> t.Iterator[list[Json]]:
        limit = 100
        while True:
            try:
                found = self.call("/v3/kv/range", {**query, "limit": str(limit)})
            except EtcdError as exc:
                if _COMPACTED not in exc.message:
                    raise
                raise EtcdError("etcd dropped the revision that was being read: it took too long. Try again at a quieter time") from exc
            page = found.get("kvs") or []
            if page:
                yield page
            if not found.get("more"):
                return
            size = sum(len(entry.get("value", "")) for entry in page) or 1
            limit = min(max(limit * _PAGE_BYTES // size, _PAGE_KEYS[0]), _PAGE_KEYS[1], limit * 2)
            query = {**query, "key": encode(base64.b64decode(page[-1]["key"]) + b"\x00")}

    def clear(self, prefix: bytes) -> None:
        """Delete all of ``prefix``, page by page: no transaction is large."""
        everything = {"key": encode(prefix), "range_end": encode(prefix_end(prefix))}
        while True:
            found = self.call("/v3/kv/range", {**everything, "limit": str(_PAGE_KEYS[1]), "keys_only": True})
            page = found.get("kvs") or []
            if not page:
                return
            end = encode(base64.b64decode(page[-1]["key"]) + b"\x00")
            self.call("/v3/kv/deleterange", {"key": everything["key"], "range_end": end})

    def put(self, pairs: t.Iterable[Pair]) -> int:
        """Write everything, in transactions of bounded size; how many pairs that were."""
        batch: list[Pair] = []
        size = written = 0
        for pair in pairs:
            weight = (len(pair.key) + len(pair.value)) * 3 // 4
            if batch and (len(batch) == _BATCH_KEYS or size + weight > _BATCH_BYTES):
                self._put(batch)
                batch, size = [], 0
            batch.append(pair)
            size += weight
            written += 1
        if batch:
            self._put(batch)
        return written

    def _put(self, batch: t.Sequence[Pair]) -> None:
        self.call("/v3/kv/txn", {"success": [{"request_put": {"key": pair.key, "value": pair.value}} for pair in batch]})

    def compact(self, revision: int) -> None:
        """Forget the history before ``revision``; its space can be used again when this returns."""
        try:
            self.call("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        except EtcdError as exc:
            if _COMPACTED not in exc.message:  # a repeated call
                raise

    def step(self) -> int:
        """Take one revision; which one it was."""
        return int(self.call("/v3/kv/put", {"key": encode(_COUNTER)})["header"]["revision"])

    def forget_steps(self) -> None:
        """Remove what :meth:`step` writes."""
        self.call("/v3/kv/deleterange", {"key": encode(_COUNTER)})


def advance(connect: t.Callable[[], Socket], revision: int) -> None:
    """Take revisions until ``revision`` is reached, over several connections at once: each costs a write to the disk."""

    def work(unused: int) -> None:
        with Etcd(connect) as etcd:
            while etcd.step() < revision:
                pass

    for done in run_all(work, range(_WRITERS), _WRITERS):
        if isinstance(done, KplaneError):
            raise done
    with Etcd(connect) as etcd:
        etcd.forget_steps()
