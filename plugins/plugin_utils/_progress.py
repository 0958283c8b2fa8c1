# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a fleet run is: counted from its events, and said in one line.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import time
import typing as t

#: Kinds of events, in the order in which one VCP has them.
EVENTS: t.Final = ("planned", "written", "ready", "gone", "seeded", "handed-out", "done", "failed")
_SHOWN = (
    ("created", "created"),
    ("updated", "updated"),
    ("pruned", "pruned"),
    ("deleted", "deleted"),
    ("ready", "ready"),
    ("seeded", "seeded"),
)
_INTERVAL = 0.5


class Event(t.NamedTuple):
    """Something that happened to one VCP."""

    kind: str
    name: str
    plane: str = ""
    action: str = ""
    message: str = ""

    def line(self, at: float) -> str:
        """One line of JSON, for a file of events."""
        fields = {"time": round(at, 3), "event": self.kind, "vcp": self.name, "plane": self.plane}
        if self.action:
            fields["action"] = self.action
        if self.message:
            fields["message"] = self.message
        return json.dumps(fields, ensure_ascii=False)


class Progress:
    """Counts events; ``clock`` is the monotonic time."""

    def __init__(self, total: int, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.counts: dict[str, int] = {}
        self._clock = clock
        self._started = clock()
        self._shown = self._started

    def see(self, event: Event) -> None:
        """Count an event."""
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
        if now - self._shown < _INTERVAL:
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
        return ", ".join(parts)


def human(seconds: float) -> str:
    """A rough duration."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
