# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet run leaves behind: its result, a record of it in a file, and its events as lines of JSON.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_run import Outcome

RECORD_KIND: t.Final = "kplane.core/FleetRun"
_TOLD = 5


def stamp(seconds: float) -> str:
    """RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def result(fleet: str, outcomes: t.Sequence[Outcome], started: float, finished: float) -> dict[str, t.Any]:
    """The result of a run; it is failed if any VCP is."""
    results = [outcome.result() for outcome in outcomes]
    failed = [entry for entry in results if entry["failed"]]
    summary: dict[str, int] = {"total": len(results), "changed": sum(entry["changed"] for entry in results), "failed": len(failed)}
    for entry in results:
        if not entry["failed"]:
            summary[entry["action"]] = summary.get(entry["action"], 0) + 1
    found: dict[str, t.Any] = {
        "changed": summary["changed"] > 0,
        "fleet": fleet,
        "summary": summary,
        "results": results,
        "started": stamp(started),
        "finished": stamp(finished),
        "seconds": round(finished - started, 3),
        "failed": bool(failed),
    }
    if failed:
        told = "; ".join(f"{entry['name']}: {entry['msg']}" for entry in failed[:_TOLD])
        more = f" (and {len(failed) - _TOLD} more)" if len(failed) > _TOLD else ""
        found["msg"] = f"{len(failed)} of {len(results)} VCPs of the fleet {fleet!r} failed: {told}{more}"
    return found


def returned(run: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the task returns. Ansible shows all that a failed task returns, so that is about what failed; the record has the rest."""
    return {**run, "results": [entry for entry in run["results"] if entry["failed"]]} if run["failed"] else run


def write(path: str, run: t.Mapping[str, t.Any]) -> None:
    """Keep what the run changed and what failed, for the report."""
    kept = {key: run[key] for key in ("fleet", "summary", "started", "finished", "seconds")}
    kept["results"] = [entry for entry in run["results"] if entry["changed"] or entry["failed"]]
    _io.write_atomic(_io.expand(path), json.dumps({"kind": RECORD_KIND, "version": 1, **kept}, indent=1).encode() + b"\n")


def read(path: str) -> dict[str, t.Any] | None:
    """The record of the last run, or ``None`` if there is none."""
    content = _io.read_bytes(_io.expand(path))
    if content is None:
        return None
    try:
        record = json.loads(content)
    except ValueError as exc:
        raise KplaneError(f"{path} is not the record of a fleet run: {exc}", path=path) from exc
    if not isinstance(record, dict) or record.get("kind") != RECORD_KIND:
        raise KplaneError(f"{path} is not the record of a fleet run", path=path)
    return record


def events_file(path: str) -> t.TextIO:
    """The file that events are appended to, a line each, private and readable while the run goes on."""
    target = _io.expand(path)
    _io.ensure_directory(os.path.dirname(target))
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", buffering=1, encoding="utf-8")
