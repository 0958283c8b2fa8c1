# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback kplane.core.fleet: how far a fleet run is, on the terminal."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
type: aggregate
short_description: Show how far a fleet run is
description:
  - While M(kplane.core.kplane_fleet) works, shows on the terminal how many VCPs are created, ready and failed, the rate, the time that is
    left, and as soon as a VCP fails its reason. It takes the place of the line that the module itself shows.
  - It is quiet where the output is not a terminal.
  - "It gets its events in the way that is there for every callback plugin. The environment variable E(KPLANE_FLEET_EVENTS), which a plugin
    may extend when it is loaded, names files, with colons between them. Each event of a run is appended to each of them as one line of
    JSON, while the run goes on."
  - "An event has C(time) (seconds since the epoch), C(event), C(vcp), C(plane) (the context of the management plane), and where they mean
    something C(action), C(message), C(fleet) and C(total). The first of each management plane is C(planned), with the C(fleet) and the
    C(total) of VCPs. What comes for a VCP is C(written), C(ready), C(gone), C(seeded), C(handed-out), and at last C(done) or
    C(failed)."
requirements:
  - 'enabled in the configuration: C(callbacks_enabled = kplane.core.fleet)'
options:
  interval:
    description: How many seconds there are between two lines.
    type: float
    default: 0.5
    ini:
      - section: callback_kplane_fleet
        key: interval
    env:
      - name: KPLANE_FLEET_INTERVAL
  failures:
    description: How many VCPs that fail are shown at most. The result of the task has all of them.
    type: int
    default: 10
    ini:
      - section: callback_kplane_fleet
        key: failures
    env:
      - name: KPLANE_FLEET_FAILURES
author:
  - kplane.core contributors (@kplane-dev)
"""

import os
import shutil
import sys
import tempfile
import threading
import typing as t

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ansible_collections.kplane.core.plugins.plugin_utils import _progress

_TASKS = ("kplane.core.kplane_fleet", "kplane_fleet")
_POLL_SECONDS = 0.1


class CallbackModule(CallbackBase):
    """What Ansible loads."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kplane.core.fleet"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: t.Any, **named: t.Any) -> None:
        super().__init__(*arguments, **named)
        self._follower: Follower | None = None
        self._path = ""
        if not _progress.is_terminal(sys.stdout):
            self.disabled = True
            return
        # In the private directory of this run, which Ansible removes at its end.
        folder = tempfile.mkdtemp(prefix="kplane-events-", dir=str(getattr(constants, "DEFAULT_LOCAL_TMP")))  # noqa: B009 (made at run time)
        self._path = os.path.join(folder, "events.jsonl")
        os.environ[_progress.EVENTS_VARIABLE] = os.pathsep.join([*_progress.event_paths(), self._path])
        os.environ[_progress.SHOWN_VARIABLE] = self.CALLBACK_NAME

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._end()
        if task.action in _TASKS:
            option = t.cast(t.Callable[[str], t.Any], self.get_option)
            self._follower = Follower(self._path, self._show, option("interval"), option("failures"))
            self._follower.start()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._end()

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._end()

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._end()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end()

    def _end(self) -> None:
        if self._follower is not None:
            self._follower.end()
            self._follower = None

    def _show(self, text: str) -> None:
        self._display.display(text, screen_only=True)


class Follower:
    """Reads the events of one task while they come, in a thread of its own, and shows where the run is."""

    def __init__(self, path: str, show: t.Callable[[str], None], interval: float, failures: int) -> None:
        self._path = path
        self._show = show
        self._failures = failures
        self._progress = _progress.Progress(0, interval=interval)
        # Events of earlier tasks are not those of this one.
        self._offset = os.path.getsize(path) if os.path.exists(path) else 0
        self._rest = b""
        self._failed = 0
        #: Whether the last line of the terminal is one of progress, so that the next takes its place.
        self._replaced = False
        self._shown = -1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kplane-fleet-progress", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def end(self) -> None:
        """The task is over: show the end, if that has not been shown."""
        self._over.set()
        self._thread.join()
        # Ansible has written its own lines since, which stay.
        self._replaced = False
        self._read()
        if self._progress.total and self._shown < self._progress.finished:
            self._draw()

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            self._read()
            # Nothing is shown before the task works: until then Ansible makes processes, which must not find the terminal locked.
            complete = self._shown < self._progress.finished == self._progress.total
            if self._progress.total and (complete or self._progress.due()):
                self._draw()

    def _read(self) -> None:
        """Take the events that have come since; a line that is half written waits for its end."""
        try:
            with open(self._path, "rb") as handle:
                handle.seek(self._offset)
                content = handle.read()
        except FileNotFoundError:
            return  # the task has not begun to work
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            event = _progress.parse(line)
            self._progress.see(event)
            if event.kind == "failed":
                self._fail(event)

    def _fail(self, event: _progress.Event) -> None:
        self._failed += 1
        if self._failed <= self._failures:
            self._put(f"{self._progress.fleet}: {event.name} failed: {event.message}")
            self._replaced = False

    def _draw(self) -> None:
        self._shown = self._progress.finished
        # A line that the terminal breaks could not be replaced.
        self._put(self._progress.line()[: max(shutil.get_terminal_size().columns - 1, 20)])
        self._replaced = True

    def _put(self, text: str) -> None:
        self._show((_progress.ERASE_LINE_ABOVE if self._replaced else "") + text)
