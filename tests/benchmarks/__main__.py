# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m benchmarks [figure …]``: measure, and print a table with the conditions.

``KPLANE_BENCH_VCPS`` (10000) sets how many VCPs the fleet figures use; a smaller number makes a quick look.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks import api, collection, fleet, inventory, noisy, requests, watches
from benchmarks.report import Figure

FIGURES: dict[str, Callable[[Path], list[Figure]]] = {
    "requests": requests.measure,
    "watches": watches.measure,
    "api": api.measure,
    "noisy": noisy.measure,
    "fleet": fleet.measure,
    "collection": collection.measure,
    "inventory": inventory.measure,
}


def conditions() -> str:
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), model)
    packages = ", ".join(f"{name} {version(name)}" for name in ("kplane-server", "granian", "uvloop", "orjson", "ansible-core"))
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}; "
        "server and load on the same cores, TLS with verification, one server process, SQLite synchronous=FULL"
    )


def main() -> int:
    wanted = sys.argv[1:] or list(FIGURES)
    if unknown := set(wanted) - set(FIGURES):
        print(f"error: unknown figures {sorted(unknown)}; there are {sorted(FIGURES)}", file=sys.stderr)
        return 2
    print(f"conditions: {conditions()}\n")
    figures: list[Figure] = []
    for name in wanted:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="kplane-bench-") as folder:
            figures += FIGURES[name](Path(folder))
        print(f"# {name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    width = max(len(figure.name) for figure in figures)
    print(f"{'figure':<{width}}  {'aim':>18}  measured")
    for figure in figures:
        print(f"{figure.name:<{width}}  {figure.aim:>18}  {figure.measured}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
