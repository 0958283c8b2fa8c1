# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.kplane.core.plugins.plugin_utils._progress import Event, Progress, human, parse


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_says_what_happened_how_fast_and_how_long_it_takes():
    clock = Clock()
    progress = Progress(4, clock)
    for name in ("a", "b"):
        progress.see(Event("written", name, action="created"))
        progress.see(Event("ready", name))
        progress.see(Event("done", name, action="created"))
    progress.see(Event("failed", "c", message="no"))
    clock.now = 3.0
    assert progress.line() == "3/4, 2 created, 2 ready, 1 failed, 1.0/s, 1 s left"
    progress.see(Event("done", "d"))
    assert progress.line() == "4/4, 2 created, 2 ready, 1 failed, 1.3/s"


def test_lines_are_not_due_more_than_twice_a_second():
    clock = Clock()
    progress = Progress(1, clock)
    assert not progress.due()
    clock.now = 0.6
    assert progress.due()
    assert not progress.due()


def test_an_event_is_one_line_of_json():
    line = Event("failed", "a", "lab", "created", "two\nlines").line(1.5)
    assert "\n" not in line
    assert json.loads(line) == {"time": 1.5, "event": "failed", "vcp": "a", "plane": "lab", "action": "created", "message": "two\nlines"}
    assert parse(line.encode()) == Event("failed", "a", "lab", "created", "two\nlines")


def test_the_first_event_of_each_management_plane_says_how_much_there_is_to_do():
    progress = Progress(0)
    for plane, total in (("one", 3), ("two", 4)):
        line = Event("planned", "", plane, fleet="blue", total=total).line(1.0)
        progress.see(parse(line.encode()))
    assert progress.total == 7
    assert progress.line() == "blue: 0/7, 0 failed"


def test_durations():
    assert [human(value) for value in (0.2, 59, 61, 3600)] == ["1 s", "59 s", "1 min 1 s", "1 h 0 min"]
