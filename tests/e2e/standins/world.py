# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the stand-ins on PATH: playbooks are run on it, killed, or run again without Ansible around their modules."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

import yaml
from support.client import eventually
from support.machine import ROOT
from support.server import client_of, free_port

from standins import state, steps
from standins.cluster import offer_authority

HERE = Path(__file__).parent.parent
OTHERS = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "work",
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "clusters": [{"name": "work", "cluster": {"server": "https://work.example:6443"}}],
    "users": [{"name": "me", "user": {"token": "secret-of-mine"}}],
}


Modules = list[dict[str, str]]


def _path_of(entry: dict[str, str]) -> str:
    """The import path of a module."""
    return "ansible_collections.kplane.core.plugins.modules." + entry["module"].rpartition(".")[2]


class World:
    """A home, the stand-ins on PATH, and the playbooks."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.folder = folder
        self.provider = provider
        self.state = folder / "state"
        self.port = free_port()
        for path in (self.state, folder / "bin", folder / "tmp", folder / "collections/ansible_collections/kplane"):
            path.mkdir(parents=True)
        (folder / "collections/ansible_collections/kplane/core").symlink_to(ROOT)
        for name in ("kind", "k3d", "docker"):
            program = folder / "bin" / name
            program.write_text(
                f'#!/bin/sh\nexport PYTHONPATH={HERE}:{ROOT}/tests/server\nexec {sys.executable} -m standins.{name} "$@"\n',
            )
            program.chmod(0o755)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(OTHERS))
        self.variables: dict[str, Any] = {"kplane_provider": provider, "kplane_cluster_name": "it", "kplane_port": self.port}
        if (collections := str(folder / "collections")) not in sys.path:
            sys.path.append(collections)
        # Clusters end with this process, not with the short ones that modules get.
        self.parent = str(os.getpid())
        os.environ.update(STANDIN_STATE=str(self.state), STANDIN_PARENT=self.parent)
        steps.arm()

    @property
    def environment(self) -> dict[str, str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "KPLANE_", "XDG_", "PYTHON"))}
        return keep | {
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), keep["PATH"]]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": f"{HERE / 'standins' / 'hook'}:{HERE}",
            "STANDIN_STATE": str(self.state),
            "STANDIN_PARENT": self.parent,
            "STANDIN_WATCHED": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "KUBECONFIG": str(self.kubeconfig),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }

    def play(self, name: str, *, fails: str = "", check: bool = False, **variables: Any) -> int:
        """Run a playbook; how many tasks changed something. With ``fails`` it has to fail and to say that."""
        done = self._run(name, ["--check"] * check, variables)
        assert (done.returncode != 0) == bool(fails), self.output
        if fails:
            assert re.search(fails, self.output), self.output
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    def _run(self, name: str, more: list[str], variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        argv = ["ansible-playbook", f"kplane.core.{name}", "-e", json.dumps({**self.variables, **variables}), *more]
        environment = self.environment
        with subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            self.output, _ = process.communicate(timeout=600)
        return subprocess.CompletedProcess(argv, process.returncode)

    def kill(self, name: str, at: int, **variables: Any) -> bool:
        """Run a playbook that is killed before its step ``at``; whether it got there."""
        steps.arm(at)
        killed = self._run(name, [], variables).returncode == -signal.SIGKILL
        steps.arm()
        return killed

    def modules(self, name: str, **variables: Any) -> Modules:
        """Run a playbook, and have what its modules were asked for."""
        steps.modules()
        self.play(name, **variables)
        return steps.modules()

    def again(self, modules: Modules, at: int = 0) -> int | None:
        """What ``play`` does and gives, or ``None`` if it was killed before its step ``at``; without Ansible, so that it takes no time."""
        for entry in modules:
            importlib.import_module(_path_of(entry))
        steps.arm(at)
        child = os.fork()
        if not child:
            self._become(modules)
        code = os.waitpid(child, 0)[1]
        if at:
            steps.arm()
        if os.WIFSIGNALED(code):
            assert os.WTERMSIG(code) == signal.SIGKILL
            return None
        assert code == 0
        results = [json.loads(line) for line in (self.state / "results").read_text().splitlines() if line.startswith("{")]
        assert len(results) == len(modules), results
        assert not any(result.get("failed") for result in results), results
        return sum(bool(result["changed"]) for result in results)

    def _become(self, modules: Modules) -> NoReturn:
        """The process of the modules, from here to its end."""
        try:
            environment = self.environment
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = None
            with (self.state / "results").open("w") as results:
                os.dup2(results.fileno(), 1)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            steps.install()
            for entry in modules:
                basic = sys.modules["ansible.module_utils.basic"]
                basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = entry["asked"].encode(), entry["profile"]  # type: ignore[attr-defined]
                try:
                    sys.modules[_path_of(entry)].main()
                except SystemExit as end:
                    if end.code:
                        break
                finally:
                    sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    @property
    def contexts(self) -> list[str]:
        return [entry["name"] for entry in yaml.safe_load(self.kubeconfig.read_text())["contexts"]]

    @property
    def cluster(self) -> dict[str, Any] | None:
        path = self.state / "it.cluster.json"
        return json.loads(path.read_text()) if path.exists() else None

    def answers(self, vcp: str) -> bool:
        """Whether a control plane answers who has the kubeconfig of the user, verified by what that trusts."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        found = {
            kind: [entry for entry in document[kind] if entry["name"] == "kplane-" + vcp] for kind in ("clusters", "users", "contexts")
        }
        return client_of(yaml.safe_dump(found)).get("/api/v1/namespaces").code == 200

    def asked(self, program: str) -> list[dict[str, Any]]:
        calls = [json.loads(line) for line in (self.state / "calls").read_text().splitlines()]
        return [call for call in calls if call["program"] == program]

    def own_cluster(self) -> None:
        """A cluster of the user's own, with a kubeconfig that is not the one in use."""
        cluster = {"provider": "own", "name": "it", "api_port": free_port(), "port": self.port}
        os.environ["PYTHONPATH"] = f"{HERE}:{ROOT}/tests/server"
        state.start(cluster)
        own = self.folder / "own.kubeconfig"
        own.write_text(state.kubeconfig(cluster, "production"))
        # A cluster of somebody's has nothing of kplane, but the server begins with its own definitions and namespace.
        root, definitions = client_of(own.read_text()), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for item in root.get(definitions).ok()["items"]:
            root.delete(f"{definitions}/{item['metadata']['name']}").ok()
        root.delete("/api/v1/namespaces/kplane-system").ok()
        eventually(lambda: root.get("/api/v1/namespaces/kplane-system").code == 404, 20, "an empty cluster")
        self.offer_authority()
        self.variables.update(kplane_management_kubeconfig=str(own), kplane_external_host="127.0.0.1", kplane_external_port=self.port)

    def offer_authority(self) -> None:
        """Give the cluster of the user's own what it lost when the stack was taken away."""
        if self.provider == "kubeconfig" and self.cluster is not None:
            offer_authority(client_of(state.kubeconfig(self.cluster, "it")), self.state / "it")

    def end(self) -> None:
        for path in self.state.glob("*.cluster.json"):
            state.stop(json.loads(path.read_text()))
