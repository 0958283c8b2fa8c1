# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a fleet run is: counted from its events, and said in one line.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

#: Kinds of events, in the order in which one VCP has them.
EVENTS: t.Final = ("planned", "written", "ready", "gone", "seeded", "handed-out", "done", "failed")
_OPTIONAL = ("action", "message", "fleet", "total")
_SHOWN = (
    ("created", "created"),
    ("updated", "updated"),
    ("pruned", "pruned"),
    ("deleted", "deleted"),
    ("ready", "ready"),
    ("seeded", "seeded"),
)
_INTERVAL = 0.5

#: Files that get the events of a run, with colons between them: how callback plugins get them.
EVENTS_VARIABLE: t.Final = "KPLANE_FLEET_EVENTS"
#: Set by a callback plugin that shows progress, so that the action does not show it, too.
SHOWN_VARIABLE: t.Final = "KPLANE_FLEET_SHOWN_BY"
ERASE_LINE_ABOVE: t.Final = "\x1b[1A\x1b[2K"


def event_paths() -> list[str]:
    """The files that the environment names for events."""
    return [path for path in os.environ.get(EVENTS_VARIABLE, "").split(os.pathsep) if path]


def is_terminal(stream: t.TextIO | None) -> bool:
    """Whether lines can be shown there and replaced."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Event(t.NamedTuple):
    """Something that happened to one VCP."""

    kind: str
    name: str
    plane: str = ""
    action: str = ""
    message: str = ""
    #: Of the first event of a management plane: the fleet, and how many of its VCPs are looked at there.
    fleet: str = ""
    total: int = 0

    def line(self, at: float) -> str:
        """One line of JSON, for a file of events."""
        fields: dict[str, t.Any] = {"time": round(at, 3), "event": self.kind, "vcp": self.name, "plane": self.plane}
        fields.update((key, getattr(self, key)) for key in _OPTIONAL if getattr(self, key))
        return json.dumps(fields, ensure_ascii=False)


def parse(line: bytes) -> Event:
    """The event of a line."""
    fields = json.loads(line)
    return Event(fields["event"], fields["vcp"], fields["plane"], **{key: fields[key] for key in _OPTIONAL if key in fields})


class Progress:
    """Counts events; ``clock`` is the monotonic time."""

    def __init__(self, total: int, clock: t.Callable[[], float] = time.monotonic, interval: float = _INTERVAL) -> None:
        self.total = total
        self.fleet = ""
        self._interval = interval
        self.counts: dict[str, int] = {}
        self._clock = clock
        self._started = clock()
        self._shown = self._started

    def see(self, event: Event) -> None:
        """Count an event."""
        self.total += event.total
        self.fleet = event.fleet or self.fleet
        kinds = [event.kind] + ([event.action] if event.kind == "written" and event.action else [])
        for kind in kinds:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def finished(self) -> int:
        """How many VCPs are through, one way or the other."""
        return self.counts.get("done", 0) + self.counts.get("failed", 0)

    def due(self) -> bool:
        """Whether it is time for another line."""
        now = self._clock()
        if now - self._shown < self._interval:
            return False
        self._shown = now
        return True

    def line(self) -> str:
        """Where the run is."""
        seconds = max(self._clock() - self._started, 1e-9)
        rate = self.finished / seconds
        parts = [f"{self.finished}/{self.total}"]
        parts += [f"{self.counts[key]} {word}" for key, word in _SHOWN if self.counts.get(key)]
        parts.append(f"{self.counts.get('failed', 0)} failed")
        if self.finished:
            parts.append(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
            if self.finished < self.total:
                parts.append(f"{human((self.total - self.finished) / rate)} left")
        return (f"{self.fleet}: " if self.fleet else "") + ", ".join(parts)


def human(seconds: float) -> str:
    """A rough duration."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
