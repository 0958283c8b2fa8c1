# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets from inventories: converging and seeding thousands of VCPs, and reading them back as hosts."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from support.plays import Controller
from support.server import Server

from benchmarks.report import Figure
from benchmarks.target import resident_kib, running

LARGEST = int(os.environ.get("KPLANE_BENCH_VCPS", "10000"))
SIZES = (LARGEST // 10, LARGEST)
SEEDED = SIZES[0]
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


class Run(NamedTuple):
    """What one run of the playbook took, Ansible's start included."""

    seconds: float
    #: Of Ansible's processes.
    computing: float
    memory_mib: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.computing:.1f} s of them Ansible computing in at most {self.memory_mib} MiB"


def measure(folder: Path) -> list[Figure]:
    figures = []
    for size in SIZES:
        (folder / str(size)).mkdir()
        with running(folder / str(size)) as server:
            controller = Controller(folder / str(size))
            first, second = _converge(controller, server, size), _converge(controller, server, size)
            figures += [
                Figure(f"fleet of {size:,} from an inventory, first run", "", f"{first}; server {resident_kib(server) // 1024} MiB"),
                Figure(f"fleet of {size:,} from an inventory, second run", "", f"{second}"),
            ]
            if size == SEEDED:
                seeded, again = _converge(controller, server, size, seeds=3), _converge(controller, server, size, seeds=3)
                figures += [
                    Figure(f"seed {size:,} with three objects each", "", f"{seeded}; server {resident_kib(server) // 1024} MiB"),
                    Figure(f"seed {size:,} with three objects each, second run", "", f"{again}"),
                ]
            if size == SIZES[-1]:
                figures.append(_read_back(controller, server))
    return figures


def _converge(controller: Controller, server: Server, size: int, seeds: int = 0) -> Run:
    variables: dict[str, object] = {"kplane_management_kubeconfig": str(server.kubeconfig), "kplane_deletion_policy": "Destroy"}
    if seeds:
        names = [f"seed-{number}" for number in range(seeds)]
        variables["kplane_manifests"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}} for name in names
        ]
    width = len(str(size))
    hosts: dict[str, dict[str, object]] = {f"vcp-[{1:0{width}}:{size}]": {}}
    controller.write("fleet.yml", {"kplane_vcps": {"hosts": hosts, "vars": variables}})
    return _timed(controller, "ansible-playbook", "kplane.core.fleet", "-i", "fleet.yml", "-e", json.dumps({"kplane_fleet_name": "bench"}))


def _timed(controller: Controller, *command: str) -> Run:
    started = time.perf_counter()
    process = controller.start(*command)
    assert process.stdout is not None
    output = process.stdout.read()
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output}")
    return Run(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


def _read_back(controller: Controller, server: Server) -> Figure:
    controller.write("live.kplane.yml", {"plugin": "kplane.core.kplane", "planes": [{"kubeconfig": str(server.kubeconfig)}]})
    count, wall, used = controller.run(sys.executable, "-c", _READ).output.split()[-3:]
    return Figure(f"inventory of {int(count):,} VCPs", "<= 2 s", f"{float(wall):.2f} s, {float(used):.2f} s of them computing")
