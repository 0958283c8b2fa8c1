# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters for ``/metrics`` in the Prometheus text format, with a bounded number of series.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
import resource
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

#: Upper bounds of the request duration histogram, in seconds.
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0)
#: VCPs that have a series of their own; the rest is summed as ``other``, which no VCP name can collide with in meaning.
TOP_VCPS: Final = 20
#: VCPs that are counted one by one in memory before the quiet half is folded into the rest.
MAX_COUNTED_VCPS: Final = 4096

#: name → (help, type): what a gauge source may report; anything else is shown as untyped.
_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")

Samples = Mapping[str, float]
#: The control planes with the largest values (as many as asked for), largest first, and the sum over all of them.
Ranking = Callable[[int], tuple[Sequence[tuple[str, float]], float]]


class Metrics:
    """Everything that requests count. Sources of gauges are asked only when somebody looks."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._vcps: dict[str, int] = {}
        self._other_vcps = 0
        self._sources: list[tuple[str, str, Callable[[], Samples]]] = []
        self._rankings: list[tuple[str, str, Ranking]] = []
        self._started = time.time()

    def observe(self, verb: str, group: str, code: int, seconds: float, vcp: str) -> None:
        """Count one answered request. ``verb`` and ``group`` come from bounded sets, never from the client's text."""
        key = (verb, group, code)
        requests = self._requests
        requests[key] = requests.get(key, 0) + 1
        counts = self._durations.get(verb)
        if counts is None:
            counts = self._durations[verb] = [0] * (len(BUCKETS) + 1)
            self._seconds[verb] = 0.0
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[verb] += seconds
        if vcp:
            vcps = self._vcps
            vcps[vcp] = vcps.get(vcp, 0) + 1
            if len(vcps) > MAX_COUNTED_VCPS:
                self._fold()

    def add_source(self, prefix: str, help_text: str, source: Callable[[], Samples]) -> None:
        """Gauges ``<prefix>_<name>`` read from ``source`` at each scrape."""
        self._sources.append((prefix, help_text, source))

    def add_ranking(self, name: str, help_text: str, ranking: Ranking) -> None:
        """A gauge by control plane, of those with the largest values; the others are one sum."""
        self._rankings.append((name, help_text, ranking))

    def _fold(self) -> None:
        """Keep the busier half by name, sum the other."""
        ranked = sorted(self._vcps.items(), key=lambda item: -item[1])
        keep = MAX_COUNTED_VCPS // 2
        self._other_vcps += sum(count for _, count in ranked[keep:])
        self._vcps = dict(ranked[:keep])

    def render(self) -> bytes:
        """The whole page."""
        lines: list[str] = []
        lines += _family("kplane_requests_total", "Answered requests.", "counter", self._request_samples())
        lines += self._histogram()
        lines += _family("kplane_vcp_requests_total", "Answered requests of the busiest control planes.", "counter", self._vcp_samples())
        for name, help_text, ranking in self._rankings:
            lines += _family(name, help_text, "gauge", _ranked(*ranking(TOP_VCPS)))
        for prefix, help_text, source in self._sources:
            for name, value in source().items():
                lines += _family(f"{prefix}_{_clean(name)}", help_text, "gauge", [("", value)])
        lines += self._process()
        lines.append("")
        return "\n".join(lines).encode()

    def _request_samples(self) -> Iterable[tuple[str, float]]:
        for (verb, group, code), count in sorted(self._requests.items()):
            yield f'{{verb="{verb}",group="{group}",code="{code}"}}', count

    def _vcp_samples(self) -> Iterable[tuple[str, float]]:
        ranked = sorted(self._vcps.items(), key=lambda item: (-item[1], item[0]))
        for vcp, count in ranked[:TOP_VCPS]:
            yield f'{{vcp="{vcp}"}}', count
        yield '{vcp="",rest="true"}', self._other_vcps + sum(count for _, count in ranked[TOP_VCPS:])

    def _histogram(self) -> Iterable[str]:
        name = "kplane_request_duration_seconds"
        yield f"# HELP {name} Time to answer, watches until their stream starts."
        yield f"# TYPE {name} histogram"
        for verb, counts in sorted(self._durations.items()):
            total = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                yield f'{name}_bucket{{verb="{verb}",le="{bound}"}} {total}'
            yield f'{name}_sum{{verb="{verb}"}} {self._seconds[verb]:.6f}'
            yield f'{name}_count{{verb="{verb}"}} {total}'

    def _process(self) -> Iterable[str]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield from _family("process_cpu_seconds_total", "CPU time used.", "counter", [("", usage.ru_utime + usage.ru_stime)])
        yield from _family("process_start_time_seconds", "Start, since the epoch.", "gauge", [("", self._started)])
        yield from _family("process_resident_memory_bytes", "Resident set.", "gauge", [("", resident_bytes())])
        yield from _family("process_open_fds", "Open file descriptors.", "gauge", [("", open_descriptors())])


def _ranked(largest: Sequence[tuple[str, float]], total: float) -> Iterable[tuple[str, float]]:
    for vcp, value in largest:
        yield f'{{vcp="{vcp}"}}', value
    yield '{vcp="",rest="true"}', total - sum(value for _, value in largest)


def resident_bytes() -> int:
    """The resident set of this process; its peak where the system tells no more."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_SIZE
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def open_descriptors() -> int:
    """How many file descriptors are open; -1 where the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(directory))
        except OSError:
            continue
    return -1


def _family(name: str, help_text: str, kind: str, samples: Iterable[tuple[str, float]]) -> Iterable[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {_number(value)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _clean(name: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
