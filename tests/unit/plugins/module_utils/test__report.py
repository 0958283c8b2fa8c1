# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kplane.core.plugins.module_utils import _report

NOW = _report.seconds("2026-01-02T00:00:00Z")


def control_plane(name, created="2026-01-01T00:00:00Z", ready=True, **metadata):
    return {
        "metadata": {"name": name, "creationTimestamp": created, **metadata},
        "spec": {"classRef": {"name": "starter"}},
        "status": {
            "conditions": [
                {"type": "Ready", "status": str(ready), "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:05Z"}
            ]
        },
    }


def test_states_and_classes():
    paused = {"annotations": {"controlplane.kplane.dev/state": "paused"}}
    objects = [control_plane("a"), control_plane("b", ready=False), control_plane("c", **paused), control_plane("d", deletionTimestamp="x")]
    rows = _report.rows(objects, "lab", {})
    assert _report.states(rows) == {"ready": 1, "not_ready": 1, "paused": 1, "deleting": 1}
    assert _report.classes(rows) == [{"name": "starter", "total": 4, "ready": 1, "not_ready": 1, "paused": 1, "deleting": 1}]
    assert [row["name"] for row in _report.failing(rows)] == ["b"]
    assert rows[0]["seconds_to_ready"] == 5


def test_growth_ends_with_all_of_them():
    rows = _report.rows(
        [control_plane("a"), control_plane("b", "2026-01-01T12:00:00Z"), control_plane("c", "2026-01-02T00:00:00Z")], "lab", {}
    )
    points = _report.growth(rows, NOW)
    assert len(points) == 60
    assert points[0] == {"time": "2026-01-01T00:00:00Z", "vcps": 1}
    assert points[-1] == {"time": "2026-01-02T00:00:00Z", "vcps": 3}
    counts = [point["vcps"] for point in points]
    assert counts == sorted(counts)
    assert _report.growth([], NOW) == []


def test_objects_come_from_the_status_or_the_metrics_or_are_unknown():
    text = '# HELP x\nkplane_vcp_objects{vcp="b"} 7\nkplane_vcp_bytes{vcp="b"} 70\nprocess_resident_memory_bytes 1.5e+06\nbroken{ 1\n'
    samples = _report.metrics(text)
    first = control_plane("a")
    first["status"]["usage"] = {"objects": 3, "bytes": 30}
    rows = _report.rows([first, control_plane("b"), control_plane("c")], "lab", samples)
    assert [(row["objects"], row["bytes"]) for row in rows] == [(3, 30), (7, 70), (None, None)]
    assert _report.single(samples, "process_resident_memory_bytes") == 1500000
    assert _report.single(samples, "other") is None
    usage = _report.report([], rows, None, NOW, 1)["usage"]
    assert (usage["known"], usage["objects"], usage["bytes"], [row["name"] for row in usage["largest"]]) == (2, 10, 100, ["b"])


def test_the_last_run():
    results = [
        {"name": "a", "plane": "lab", "action": "created", "changed": True, "failed": False, "seconds": 0.5},
        {"name": "b", "plane": "lab", "action": "created", "changed": True, "failed": False, "seconds": 1.5},
        {"name": "c", "plane": "lab", "action": "updated", "changed": False, "failed": True, "msg": "no"},
    ]
    run = {"fleet": "blue", "started": "s", "finished": "f", "seconds": 2.0, "summary": {}, "results": results}
    changes = _report.changes(run, 1)
    assert changes["actions"] == [{"action": "created", "count": 2, "names": ["a"]}]
    assert changes["failed"] == [{"message": "no", "count": 1, "names": ["c"]}]
    assert [entry["name"] for entry in _report.slowest([], run, 5)] == ["b", "a"]
    assert _report.changes(None, 1) is None


def test_each_reason_of_failures_is_told_once():
    failed = [{"name": name, "msg": f"{name} cannot become ready"} for name in ("a", "b", "c")] + [{"name": "d", "msg": "refused: d"}]
    assert _report.reasons(failed, 2) == [
        {"message": "cannot become ready", "count": 3, "names": ["a", "b"]},
        {"message": "refused: d", "count": 1, "names": ["d"]},
    ]
