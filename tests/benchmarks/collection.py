# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks and modules take, against an empty playbook on the same machine."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from support.server import compiled_environment, free_port

from benchmarks.report import Figure

ROOT = Path(__file__).resolve().parents[2]
EMPTY = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks: []\n"
COUNT = 1_000


def _play(folder: Path, playbook: Path, variables: dict[str, object]) -> float:
    """Seconds of one ansible-playbook run with a home of its own."""
    environment = compiled_environment() | {"HOME": str(folder), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "KUBECONFIG": ""}
    environment = {key: value for key, value in environment.items() if value}
    started = time.perf_counter()
    done = subprocess.run(
        ["ansible-playbook", str(playbook), "-e", json.dumps(variables)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{playbook.name}: {done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def measure(folder: Path) -> list[Figure]:
    variables: dict[str, object] = {
        "kplane_provider": "embedded",
        "kplane_cluster_name": "bench",
        "kplane_port": free_port(),
        "kplane_confirm": True,
    }
    empty, many = folder / "empty.yml", folder / "many.yml"
    empty.write_text(EMPTY)
    vcps = [{"name": f"vcp-{number}"} for number in range(COUNT)]
    many.write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n  - kplane.core.kplane_vcp:\n      vcps: '{{ fleet }}'\n"
    )
    try:
        _play(folder, empty, {})
        base = min(_play(folder, empty, {}) for _ in range(3))
        first = _play(folder, ROOT / "playbooks" / "up.yml", variables)
        second = min(_play(folder, ROOT / "playbooks" / "up.yml", variables) for _ in range(3))
        fleet = variables | {"fleet": vcps}
        made, again = _play(folder, many, fleet), _play(folder, many, fleet)
    finally:
        _play(folder, ROOT / "playbooks" / "down.yml", variables)
    return [
        Figure("playbook up.yml, embedded, first run", "+ <= 2 s", f"+{first - base:.2f} s (an empty playbook: {base:.2f} s)"),
        Figure("playbook up.yml, embedded, second run", "+ <= 1 s", f"+{second - base:.2f} s"),
        Figure(f"{COUNT:,} VCPs in one kplane_vcp task, first run", "<= 5 s", f"{made - base:.2f} s above an empty playbook"),
        Figure(f"{COUNT:,} VCPs in one kplane_vcp task, second run", "<= 2 s", f"{again - base:.2f} s above an empty playbook"),
    ]
