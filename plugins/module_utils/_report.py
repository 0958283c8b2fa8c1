# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of management planes: pure functions from what their servers answered.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timezone

from ansible_collections.kplane.core.plugins.module_utils._contract import API_GROUP
from ansible_collections.kplane.core.plugins.module_utils._wait import condition

Json = t.Dict[str, t.Any]
#: By the name of a metric: labels and value of each of its samples.
Samples = t.Dict[str, t.List[t.Tuple[t.Dict[str, str], float]]]

STATES: t.Final = ("ready", "not_ready", "paused", "deleting")
_PAUSED_ANNOTATION = API_GROUP + "/state"
_FLEET_LABEL = "kplane.core/fleet"
#: No more points than a phone can show.
_POINTS = 60
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def seconds(timestamp: str) -> float:
    """An RFC 3339 time as seconds since the epoch; 0 if it cannot be read."""
    try:
        return datetime.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0.0


def timestamp(moment: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def metrics(text: str) -> Samples:
    """The samples of a text in Prometheus' format, by name."""
    found: Samples = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        found.setdefault(match["name"], []).append((dict(_LABEL.findall(match["labels"] or "")), value))
    return found


def per_vcp(samples: Samples, name: str) -> dict[str, int]:
    """The value of a metric for each VCP."""
    return {labels["vcp"]: int(value) for labels, value in samples.get(name, ()) if labels.get("vcp")}


def single(samples: Samples, name: str) -> int | None:
    """The value of a metric without labels, if it is there."""
    return next((int(value) for labels, value in samples.get(name, ()) if not labels), None)


def row(obj: Json, plane: str) -> Json:
    """One VCP as the report has it."""
    metadata, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("status") or {}
    name, created = str(metadata.get("name") or ""), str(metadata.get("creationTimestamp") or "")
    ready = condition(obj, "Ready")
    annotations = metadata.get("annotations") or {}
    if metadata.get("deletionTimestamp"):
        state = "deleting"
    elif annotations.get(_PAUSED_ANNOTATION) == "paused":
        state = "paused"
    else:
        state = "ready" if ready.get("status") == "True" else "not_ready"
    since = str(ready.get("lastTransitionTime") or "")
    usage = status.get("usage") or {}
    found: Json = {
        "name": name,
        "plane": plane,
        "class": str((spec.get("classRef") or {}).get("name") or ""),
        "state": state,
        "reason": str(ready.get("reason") or ""),
        "message": str(ready.get("message") or ""),
        "since": since,
        "fleet": str((metadata.get("labels") or {}).get(_FLEET_LABEL) or ""),
        "created": created,
        "objects": usage.get("objects"),
        "bytes": usage.get("bytes"),
    }
    if state == "ready" and since and created:
        found["seconds_to_ready"] = max(0, int(seconds(since) - seconds(created)))
    return found


def rows(objects: t.Iterable[Json], plane: str, samples: Samples) -> list[Json]:
    """All VCPs of a management plane, by name. Objects and bytes come from the status, else from the metrics, else are unknown."""
    made = [row(obj, plane) for obj in objects]
    for key, metric in (("objects", "kplane_vcp_objects"), ("bytes", "kplane_vcp_bytes")):
        known = per_vcp(samples, metric)
        for entry in made:
            if entry[key] is None:
                entry[key] = known.get(entry["name"])
    return sorted(made, key=lambda entry: str(entry["name"]))


def classes(vcps: t.Iterable[Json]) -> list[Json]:
    """How many VCPs of each class are in each state; the largest first."""
    found: dict[str, Json] = {}
    for vcp in vcps:
        name = vcp["class"] or "(none)"
        entry = found.setdefault(name, {"name": name, "total": 0, **dict.fromkeys(STATES, 0)})
        entry["total"] += 1
        entry[vcp["state"]] += 1
    return sorted(found.values(), key=lambda entry: (-entry["total"], entry["name"]))


def states(vcps: t.Iterable[Json]) -> Json:
    """How many VCPs are in each state."""
    found: Json = dict.fromkeys(STATES, 0)
    for vcp in vcps:
        found[vcp["state"]] += 1
    return found


def growth(vcps: t.Iterable[Json], now: float) -> list[Json]:
    """How many of the VCPs that are there now were there at each time: at most sixty points, the last is now."""
    times = sorted(moment for moment in (seconds(vcp["created"]) for vcp in vcps) if moment)
    if not times:
        return []
    first, span = times[0], max(now - times[0], 1.0)
    points = []
    index = 0
    for step in range(_POINTS):
        moment = first + span * step / (_POINTS - 1)
        while index < len(times) and times[index] <= moment:
            index += 1
        points.append({"time": timestamp(moment), "vcps": index})
    points[-1]["vcps"] = len(times)
    return points


def largest(vcps: t.Iterable[Json], key: str, top: int) -> list[Json]:
    """The VCPs with the highest value of ``key``, of those where it is known."""
    known = [vcp for vcp in vcps if vcp.get(key) is not None]
    return sorted(known, key=lambda vcp: (-vcp[key], vcp["name"]))[:top]


def failing(vcps: t.Iterable[Json]) -> list[Json]:
    """The VCPs that should be ready and are not."""
    return [vcp for vcp in vcps if vcp["state"] == "not_ready"]


def slowest(vcps: t.Iterable[Json], run: Json | None, top: int) -> list[Json]:
    """The VCPs that took longest: as the last run measured it, else by the times that the server keeps (whole seconds)."""
    measured = [
        {"name": entry["name"], "plane": entry["plane"], "action": entry["action"], "seconds": entry["seconds"]}
        for entry in (run or {}).get("results") or []
        if entry.get("seconds") and not entry.get("failed")
    ]
    if not measured:
        measured = [
            {"name": vcp["name"], "plane": vcp["plane"], "action": "created", "seconds": vcp["seconds_to_ready"]}
            for vcp in vcps
            if vcp.get("seconds_to_ready")
        ]
    return sorted(measured, key=lambda entry: (-entry["seconds"], entry["name"]))[:top]


def changes(run: Json | None, top: int) -> Json | None:
    """What the last run did: how many of each action, and some of each by name."""
    if run is None:
        return None
    actions: dict[str, Json] = {}
    for entry in run.get("results") or []:
        if entry.get("changed") and not entry.get("failed"):
            found = actions.setdefault(entry["action"], {"action": entry["action"], "count": 0, "names": []})
            found["count"] += 1
            if len(found["names"]) < top:
                found["names"].append(entry["name"])
    failed = [entry for entry in run.get("results") or [] if entry.get("failed")]
    kept = {key: run.get(key) for key in ("fleet", "started", "finished", "seconds", "summary")}
    done = sorted(actions.values(), key=lambda entry: -entry["count"])
    return {**kept, "actions": done, "failed": reasons(failed, top), "failures": len(failed)}


def reasons(failed: t.Iterable[Json], top: int) -> list[Json]:
    """Why VCPs failed: each reason once, with how many have it and some of them by name; the most common first."""
    found: dict[str, Json] = {}
    for entry in failed:
        name, message = str(entry["name"]), str(entry.get("msg") or "")
        # What a VCP says of itself begins with its name, which tells no reason from another.
        reason = message[len(name) :].lstrip(": ") if message.startswith(name) else message
        group = found.setdefault(reason, {"message": reason, "count": 0, "names": []})
        group["count"] += 1
        if len(group["names"]) < top:
            group["names"].append(name)
    return sorted(found.values(), key=lambda group: -group["count"])[:top]


def report(planes: t.Sequence[Json], vcps: t.Sequence[Json], run: Json | None, now: float, top: int) -> Json:
    """All that the page shows."""
    known = [vcp for vcp in vcps if vcp.get("objects") is not None]
    broken = failing(vcps)
    return {
        "generated": timestamp(now),
        "planes": list(planes),
        "total": len(vcps),
        "states": states(vcps),
        "classes": classes(vcps),
        "growth": growth(vcps, now),
        "usage": {
            "known": len(known),
            "objects": sum(vcp["objects"] for vcp in known),
            "bytes": sum(vcp["bytes"] or 0 for vcp in known),
            "largest": largest(vcps, "objects", top),
        },
        "slowest": slowest(vcps, run, top),
        "failures": len(broken),
        "failing": broken[:top],
        "run": changes(run, top),
    }
