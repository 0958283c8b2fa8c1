# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of a Pod: how many containers are ready, one word for its state, and its restarts."""

from __future__ import annotations

from typing import Any, Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json

Document = dict[str, Any]

_NONE: Final = "<none>"


def _section(obj: Json, *path: str) -> Document:
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def _objects(obj: Document, field: str) -> list[Document]:
    value = obj.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _true(conditions: list[Document], kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _ended(terminated: Document, prefix: str) -> str:
    """One word for a container that ended."""
    if terminated.get("reason"):
        return f"{prefix}{terminated['reason']}"
    if terminated.get("signal"):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{terminated.get('exitCode', 0)}"


class _Tally:
    """Restarts and ready containers, counted while the statuses are read."""

    def __init__(self) -> None:
        self.ready = 0
        self.restarts = 0
        self.last = ""

    def restarted(self, status: Document) -> None:
        self.restarts += status.get("restartCount") or 0
        finished = _section(status, "lastState", "terminated").get("finishedAt") or ""
        self.last = max(self.last, finished)  # RFC 3339 in UTC sorts as text


def _initialization(
    spec: Document, status: Document, reason: str, sidecars: set[str], everything: _Tally, kept: _Tally
) -> tuple[str, bool]:
    """(state, whether the pod still initializes), from the init containers in their order."""
    total = len(_objects(spec, "initContainers"))
    for index, entry in enumerate(_objects(status, "initContainerStatuses")):
        everything.restarted(entry)
        sidecar = entry.get("name") in sidecars
        if sidecar:
            kept.restarted(entry)
        terminated, waiting = _section(entry, "state").get("terminated"), _section(entry, "state", "waiting")
        if isinstance(terminated, dict) and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and entry.get("started"):
            everything.ready += bool(entry.get("ready"))
            kept.ready += bool(entry.get("ready"))
            continue
        if isinstance(terminated, dict):
            return _ended(terminated, "Init:"), True
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}", True
        return f"Init:{index}/{total}", True
    return reason, False


def _running(status: Document, reason: str, tally: _Tally) -> str:
    """The state, from the containers; the first one has the last word."""
    running = False
    for entry in reversed(_objects(status, "containerStatuses")):
        tally.restarted(entry)
        state = _section(entry, "state")
        terminated = state.get("terminated")
        if _section(state, "waiting").get("reason"):
            reason = str(_section(state, "waiting")["reason"])
        elif isinstance(terminated, dict):
            reason = _ended(terminated, "")
        elif entry.get("ready") and isinstance(state.get("running"), dict):
            running = True
            tally.ready += 1
    if reason == "Completed" and running:
        reason = "Running" if _true(_objects(status, "conditions"), "Ready") else "NotReady"
    return reason


def _gates(spec: Document, conditions: list[Document]) -> str:
    gates = _objects(spec, "readinessGates")
    if not gates:
        return _NONE
    return f"{sum(_true(conditions, str(gate.get('conditionType'))) for gate in gates)}/{len(gates)}"


def pod_cells(pod: Document) -> list[Json]:
    """The values of the columns of Pods."""
    metadata, spec, status = _section(pod, "metadata"), _section(pod, "spec"), _section(pod, "status")
    conditions = _objects(status, "conditions")
    phase = str(status.get("phase") or "")
    reason = str(status.get("reason") or phase)
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        reason = "SchedulingGated"
    sidecars = {str(c.get("name")) for c in _objects(spec, "initContainers") if c.get("restartPolicy") == "Always"}
    total = len(_objects(spec, "containers")) + len(sidecars)
    tally, kept = _Tally(), _Tally()
    reason, initializing = _initialization(spec, status, reason, sidecars, tally, kept)
    if not initializing or _true(conditions, "Initialized"):
        tally = kept
        reason = _running(status, reason, tally)
    if metadata.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    restarts = str(tally.restarts)
    if tally.restarts and tally.last:
        restarts += f" ({timestamps.human_age(tally.last)} ago)"
    addresses = [entry.get("ip") for entry in _objects(status, "podIPs")] or [status.get("podIP")]
    age = timestamps.human_age(metadata.get("creationTimestamp"))
    wide = [addresses[0], spec.get("nodeName"), status.get("nominatedNodeName")]
    row = [metadata.get("name", ""), f"{tally.ready}/{total}", reason, restarts, age]
    return [*row, *(value or _NONE for value in wide), _gates(spec, conditions)]


def pod_conditions(pod: Document) -> list[Json]:
    """The conditions of a Pod's row: a client may hide what has completed."""
    phase = _section(pod, "status").get("phase")
    texts = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
    if phase not in texts:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": texts[phase]}]
