# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log file: one JSON line an event, written by a thread of its own from a bounded queue, rotated by size.

When events come faster than they can be written, or the disk takes no more, they are dropped and counted: requests never wait for the log.
Source: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Event
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from pathlib import Path
from typing import IO, Any, Final

import orjson
import yaml

from kplane_server.http.audit import MAX_TEXT, Trace, identity
from kplane_server.http.auditpolicy import Level
from kplane_server.http.negotiation import PROTOBUF
from kplane_server.model.timestamps import micro_from_epoch
from kplane_server.registry import wire

log = logging.getLogger(__name__)

#: Events that may wait to be written.
MAX_QUEUED: Final = 10_000
#: What of them may be bodies, in bytes.
MAX_QUEUED_BYTES: Final = 64 << 20

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AuditLog:
    """A log file. ``write`` is called on the loop, everything else happens in the thread."""

    def __init__(self, path: Path, max_bytes: int, backups: int, max_queued: int = MAX_QUEUED) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file = _open(path)
        self._size = self._file.tell()
        self._queue: queue.Queue[Trace | None] = queue.Queue(max_queued)
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self.events = 0
        self.dropped = 0
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="kplane-audit", daemon=True)
        self._thread.start()

    def write(self, trace: Trace) -> None:
        """Queue an event, or count it as dropped."""
        weight = _weight(trace)
        if self._queued_bytes + weight > MAX_QUEUED_BYTES:
            self.dropped += 1
            return
        try:
            self._queue.put_nowait(trace)
        except queue.Full:
            self.dropped += 1
            return
        with self._lock:
            self._queued_bytes += weight

    def statistics(self) -> dict[str, float]:
        """Figures for /metrics."""
        return {"events_written": self.events, "events_dropped": self.dropped, "events_queued": self._queue.qsize()}

    def close(self) -> None:
        """Write what is queued, and stop."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()

    # -- in the thread

    def _run(self) -> None:
        while (trace := self._queue.get()) is not None:
            with self._lock:
                self._queued_bytes -= _weight(trace)
            try:
                self._append(encode(trace))
            except Exception as error:  # the log goes on with the next event, whatever was wrong with this one
                self.dropped += 1
                if not self._failed:
                    log.error("the audit log %s cannot be written: %s", self._path, error)
                self._failed = True
            else:
                self.events += 1
                self._failed = False
            if self._queue.empty():
                with contextlib.suppress(OSError):  # found again by the next write
                    self._file.flush()

    def _append(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        self._size += self._file.write(line)

    def _rotate(self) -> None:
        """``audit.log`` becomes ``audit.log.1``, that ``.2``, and so on; the oldest goes."""
        self._file.close()
        for number in range(self._backups, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, self._path.with_name(f"{self._path.name}.{number}"))
        if not self._backups:
            self._path.unlink(missing_ok=True)
        self._file = _open(self._path)
        self._size = 0


def _open(path: Path) -> IO[bytes]:
    """For appending, readable for the owner alone."""
    file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=1 << 16)  # noqa: SIM115 - lives with the log
    os.fchmod(file.fileno(), 0o600)
    return file


def _weight(trace: Trace) -> int:
    return len(trace.body or b"") + len(trace.audited.body)


def encode(trace: Trace) -> bytes:
    """The line of an event."""
    audited = trace.audited
    request, level = audited.request, audited.verdict.level
    uri = audited.path + (f"?{audited.query_string}" if audited.query_string else "")
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level.text,
        "auditID": audited.id,
        "stage": trace.stage,
        "requestURI": uri[:MAX_TEXT],
        "verb": request.verb,
        "user": identity(audited.user) if audited.user is not None else {},
    }
    if audited.impersonated is not None:
        event["impersonatedUser"] = identity(audited.impersonated)
    event["sourceIPs"] = [audited.client.rpartition(":")[0].strip("[]") or audited.client]
    if audited.agent:
        event["userAgent"] = audited.agent
    done = trace.stage == "ResponseComplete"
    answered = _document(trace.body, "application/json") if done and trace.body and _is_wanted(trace) else None
    if request.resource:
        event["objectRef"] = _reference(trace, answered)
    if trace.code:
        event["responseStatus"] = _status(trace.code, answered)
    if level >= Level.REQUEST and trace.stage != "RequestReceived" and (body := audited.body):
        event["requestObject"] = _shown(_document(body, audited.content_type), audited.verdict.omit_managed_fields)
    if level >= Level.REQUEST_RESPONSE and answered is not None:
        event["responseObject"] = _shown(answered, audited.verdict.omit_managed_fields)
    event["requestReceivedTimestamp"] = micro_from_epoch(audited.received)
    event["stageTimestamp"] = micro_from_epoch(trace.at)
    event["annotations"] = _annotations(trace)
    return orjson.dumps(event, default=str) + b"\n"


def _is_wanted(trace: Trace) -> bool:
    """Whether anything of the answer is told: all of it, why it failed, or the name of what was made."""
    return trace.audited.verdict.level >= Level.REQUEST_RESPONSE or trace.code >= 400 or trace.audited.request.verb == "create"


def _reference(trace: Trace, answered: Any) -> dict[str, str]:
    request = trace.audited.request
    name = request.name
    if not name and request.verb == "create" and trace.code < 300 and isinstance(answered, dict):
        name = (answered.get("metadata") or {}).get("name") or ""
    fields = {
        "resource": request.resource,
        "namespace": request.namespace,
        "name": name,
        "apiGroup": request.group,
        "apiVersion": request.version,
        "subresource": request.subresource,
    }
    return {key: value for key, value in fields.items() if value}


def _status(code: int, answered: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"metadata": {}}
    if code >= 400 and isinstance(answered, dict):
        status.update({key: answered[key] for key in ("status", "message", "reason", "details") if key in answered})
    return {**status, "code": code}


def _annotations(trace: Trace) -> dict[str, str]:
    audited = trace.audited
    annotations = {"kplane.dev/vcp": audited.vcp, **audited.annotations}
    if audited.decision is not None:
        annotations["authorization.k8s.io/decision"] = "allow" if audited.decision.allowed else "forbid"
        annotations["authorization.k8s.io/reason"] = audited.decision.reason
    return annotations


def _document(body: bytes, content_type: str) -> Any:
    """A body as it can be shown: JSON, YAML and protobuf are, other things are named."""
    media = content_type.partition(";")[0].strip().lower()
    try:
        if media == PROTOBUF or body.startswith(b"k8s\x00"):
            return wire.decode(body)
        if "yaml" in media:
            return yaml.load(body, Loader=_LOADER)
        return orjson.loads(body)
    except (ValueError, yaml.YAMLError, RecursionError):
        return {"kplane.dev/unreadable": f"{len(body)} bytes of {media or 'an unknown type'}"}


def _shown(document: Any, omit_managed_fields: bool) -> Any:
    """A document, without ``managedFields`` if they are not wanted."""
    if omit_managed_fields and isinstance(document, dict):
        for one in (document, *(item for item in document.get("items") or () if isinstance(item, dict))):
            if isinstance(one.get("metadata"), dict):
                one["metadata"].pop("managedFields", None)
    return document
