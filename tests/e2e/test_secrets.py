# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook prints at -vvvv, with options that are right and with options that are wrong: no secret of a kubeconfig."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from support.machine import ROOT

SECRETS = ("tok-0f6f2c", "pass-77b1aa", "a-key-of-mine-31c9")
KEY = base64.b64encode(SECRETS[2].encode()).decode()
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "mine",
    "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "me"}}],
    # Nobody listens there.
    "clusters": [{"name": "mine", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {"token": SECRETS[0], "password": SECRETS[1], "client-key-data": KEY}}],
}
GIVEN = "{{ given }}"
#: Tasks that fail, and what they have to say.
TASKS: list[tuple[str, dict[str, Any], str]] = [
    ("kplane_vcp", {"name": "demo", "management_kubeconfig": GIVEN, "nmae": "demo"}, "Unsupported parameters"),
    ("kplane_vcp", {"name": "demo", "management_kubeconfig": GIVEN, "request_timeout": 1}, "Cannot reach https://127.0.0.1:1"),
    ("kplane_vcp", {"name": "demo", "management_kubeconfig": "{{ given | to_json }}"}, "has to be the path of a kubeconfig"),
    ("kplane_credentials", {"name": "demo", "management_kubeconfig": "{{ given | to_yaml }}"}, "has to be the path of a kubeconfig"),
    ("kplane_vcp_info", {"management_kubeconfig": [GIVEN]}, "has to be a path or a mapping"),
    ("kplane_stack", {"management_kubeconfig": GIVEN, "manifests": "{{ {} }}"}, "missing required arguments|unable to convert"),
    ("kplane_management_plane", {"provider": "kubeconfig", "management_kubeconfig": GIVEN, "port": "many"}, "'port' is of type"),
    ("kplane_config", {"settings": GIVEN, "profile": {"a": 1}, "foo": 1}, "Unsupported parameters"),
]


def test_no_secret_is_printed(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = [
        {"name": f"{number}", f"kplane.core.{module}": options, "ignore_errors": True, "diff": True}
        for number, (module, options, _) in enumerate(TASKS)
    ]
    role = {"kplane_management_kubeconfig": GIVEN, "kplane_vcp_name": "demo", "kplane_vcp_state": "wrong"}
    tasks.append({"name": "role", "ansible.builtin.include_role": {"name": "kplane.core.vcp"}, "vars": role, "ignore_errors": True})
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (tmp_path / "given.json").write_text(json.dumps({"given": KUBECONFIG}))
    (tmp_path / "collections/ansible_collections/kplane").mkdir(parents=True)
    (tmp_path / "collections/ansible_collections/kplane/core").symlink_to(ROOT)
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "KPLANE_", "XDG_", "PYTHON"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-vvvv", "play.yml", "-e", "@given.json"],
        cwd=tmp_path,
        env=keep
        | {
            "HOME": str(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            # Every argument of every task, as someone has it who looks for a mistake.
            "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = done.stdout + done.stderr
    for module, _, said in TASKS:
        assert any(text in printed for text in said.split("|")), (module, said, printed)
    assert "https://127.0.0.1:1" in printed  # what is no secret can be read
    for secret in (*SECRETS, KEY):
        found = [line for line in printed.splitlines() if secret in line]
        assert not found, found[:3]
