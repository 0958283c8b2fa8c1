# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets from inventories: converging and seeding thousands of VCPs, and reading them back as hosts."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from support.plays import Controller
from support.server import Server

from benchmarks.report import Figure
from benchmarks.target import resident_kib, running

SIZES = (1_000, 10_000)
SEEDED = 1_000
_READ = """
import time
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
loader, started, used = DataLoader(), time.perf_counter(), time.process_time()
hosts = InventoryManager(loader, ["live.kplane.yml"]).hosts
print(len(hosts), time.perf_counter() - started, time.process_time() - used)
"""


def measure(folder: Path) -> list[Figure]:
    figures = []
    for size in SIZES:
        (folder / str(size)).mkdir()
        with running(folder / str(size)) as server:
            controller = Controller(folder / str(size))
            first, second = _converge(controller, server, size), _converge(controller, server, size)
            figures += [
                Figure(f"fleet of {size:,} from an inventory, first run", "", f"{first:.1f} s, whole playbook; {_memory(server)}"),
                Figure(f"fleet of {size:,} from an inventory, second run", "", f"{second:.1f} s, whole playbook"),
            ]
            if size == SEEDED:
                seeded, again = _converge(controller, server, size, seeds=3), _converge(controller, server, size, seeds=3)
                figures.append(Figure(f"seed {size:,} with three objects each", "", f"{seeded:.1f} s, again {again:.1f} s, whole playbook"))
            if size == SIZES[-1]:
                figures.append(_read_back(controller, server))
    return figures


def _converge(controller: Controller, server: Server, size: int, seeds: int = 0) -> float:
    """Seconds of one run of the playbook."""
    variables: dict[str, object] = {"kplane_management_kubeconfig": str(server.kubeconfig), "kplane_deletion_policy": "Destroy"}
    if seeds:
        names = [f"seed-{number}" for number in range(seeds)]
        variables["kplane_manifests"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}} for name in names
        ]
    width = len(str(size))
    hosts: dict[str, dict[str, object]] = {f"vcp-[{1:0{width}}:{size}]": {}}
    controller.write("fleet.yml", {"kplane_vcps": {"hosts": hosts, "vars": variables}})
    started = time.perf_counter()
    controller.play("kplane.core.fleet", "-i", "fleet.yml", kplane_fleet_name="bench")
    return time.perf_counter() - started


def _memory(server: Server) -> str:
    ansible = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return f"ansible at most {ansible} MiB, server {resident_kib(server) // 1024} MiB"


def _read_back(controller: Controller, server: Server) -> Figure:
    controller.write("live.kplane.yml", {"plugin": "kplane.core.kplane", "planes": [{"kubeconfig": str(server.kubeconfig)}]})
    count, wall, used = controller.run(sys.executable, "-c", _READ).output.split()[-3:]
    return Figure(f"inventory of {int(count):,} VCPs", "<= 2 s", f"{float(wall):.2f} s, {float(used):.2f} s of them computing")
