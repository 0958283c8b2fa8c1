#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_server
short_description: Install kplane-server into a virtual environment
description:
  - Installs the server of the V(embedded) provider, C(kplane-server), with C(pip) into a Python virtual environment of its own on the
    host, or removes it. It does not start it; M(kplane.core.kplane_management_plane) does.
  - What is installed is recognized by its content, so that a second run does nothing and another version is installed over it.
extends_documentation_fragment:
  - kplane.core._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description: Whether it shall be installed.
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - What to install. A directory B(on the controller) that holds the project, which is brought to the host if that is another one;
        or a requirement that C(pip) understands, for example V(kplane-server==0.1.0) or a URL.
      - If it is not given, it is the folder C(server) of this collection, or where the collection was installed without that folder,
        the release of the same version from the Python package index that C(pip) is configured for.
    type: str
  path:
    description:
      - The directory that holds the virtual environment and a note of what was installed.
      - If it is not given, it is C(${XDG_DATA_HOME:-~/.local/share}/kplane-server), where the other modules look for it.
    type: path
  python:
    description: The Python to use, 3.11 or later. If it is not given, it is the one of the task or one on E(PATH).
    type: path
  pip_arguments:
    description: More arguments for C(pip install), for example V(--index-url=https://pypi.example.com/simple).
    type: list
    elements: str
    default: []
seealso:
  - module: kplane.core.kplane_management_plane
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Install the server that belongs to this collection
  kplane.core.kplane_server:

- name: Install a certain release for all users
  kplane.core.kplane_server:
    source: kplane-server==0.1.0
    path: /opt/kplane-server
  become: true
"""

RETURN = r"""
executable:
  description: The installed C(kplane-server); empty with O(state=absent).
  returned: success
  type: str
  sample: /home/jo/.local/share/kplane-server/venv/bin/kplane-server
installed:
  description: What identifies the installed content; empty with O(state=absent).
  returned: success
  type: str
  sample: "sha256:0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
version:
  description: The version that the installed server says it has; empty in check mode if it is not installed.
  returned: success
  type: str
  sample: 0.1.0
message:
  description: What was done, for people.
  returned: success
  type: str
  sample: kplane-server 0.1.0 was installed into /home/jo/.local/share/kplane-server/venv from the collection
"""

import json
import os
import shutil
import subprocess
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _io, _module, _source
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._providers import embedded
from ansible_collections.kplane.core.plugins.module_utils._providers.requirements import server_python

_NOTE = "installed.json"
_VERSION_TIMEOUT = 30.0


class Installation:
    """A directory with a virtual environment that kplane-server lives in."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.venv = os.path.join(path, "venv")
        self.executable = os.path.join(self.venv, "bin", embedded.EXECUTABLE)

    def noted(self) -> bool:
        """Whether this module has made what is there."""
        return os.path.exists(os.path.join(self.path, _NOTE))

    def installed(self) -> str:
        """What identifies the installed content, or an empty string."""
        content = _io.read_bytes(os.path.join(self.path, _NOTE))
        if content is None or not os.access(self.executable, os.X_OK):
            return ""
        try:
            return str(json.loads(content)["installed"])
        except (ValueError, KeyError, TypeError):
            return ""

    def note(self, installed: str) -> None:
        """Write down what was installed."""
        _io.write_atomic(os.path.join(self.path, _NOTE), json.dumps({"installed": installed}).encode() + b"\n")

    def version(self) -> str:
        """The version that the executable says it has."""
        try:
            argv = [self.executable, "version", "--output", "json"]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_TIMEOUT, check=True)
            return str(json.loads(done.stdout)["version"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as exc:
            raise KplaneError(f"{self.executable} was installed but does not run: {exc}") from exc


def install(module: AnsibleModule, installation: Installation, requirement: str) -> None:
    """Make the virtual environment if there is none, and install into it."""
    python = module.params["python"] or server_python()
    if python is None:
        raise KplaneError("kplane-server needs Python 3.11 or later, and there is none on this host. Install it, or set the option python.")
    _io.ensure_directory(installation.path, 0o755)
    if not installation.noted():
        installation.note("")  # from here on the directory is ours, even if what follows fails
    if not os.path.exists(os.path.join(installation.venv, "bin", "python")):
        hint = "On Debian and Ubuntu the package python3-venv is needed."
        _command(module, [python, "-m", "venv", installation.venv], f"Cannot make a virtual environment with {python}. {hint}")
    pip = [
        os.path.join(installation.venv, "bin", "python"),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--upgrade",
    ]
    _command(module, pip + module.params["pip_arguments"] + [requirement], "Cannot install kplane-server")


def _command(module: AnsibleModule, argv: list[str], problem: str) -> None:
    code, stdout, stderr = module.run_command(argv)
    if code != 0:
        lines = (stderr.strip() or stdout.strip()).splitlines()
        raise KplaneError(f"{problem}: {' '.join(lines[-3:])}", cmd=argv, rc=code, stdout=stdout, stderr=stderr)


def present(module: AnsibleModule, installation: Installation, before: str) -> _module.Result:
    """Compare the content, and install it if it is another one."""
    source = module.params["source"]
    if not source:
        raise KplaneError("source is empty, and there is no action plugin that could fill it")
    with tempfile.TemporaryDirectory(prefix="kplane-server-") as scratch:
        requirement = wanted = source
        if os.path.isdir(source):
            wanted = _source.fingerprint(source)
        elif os.path.isfile(source):
            _source.unpack(source, os.path.join(scratch, "source"))
            requirement = os.path.join(scratch, "source")
            wanted = _source.fingerprint(requirement)
        changed = wanted != before
        if changed and not module.check_mode:
            if os.path.isdir(source):
                requirement = os.path.join(scratch, "source")
                _source.copy(source, requirement)
            install(module, installation, requirement)
            installation.note(wanted)
    version = installation.version() if not module.check_mode or not changed else ""
    done = "would be installed" if module.check_mode else "was installed"
    message = f"{embedded.EXECUTABLE} {version} is installed in {installation.venv}"
    if changed:
        message = f"{embedded.EXECUTABLE} {version or wanted} {done} into {installation.venv} from {source}"
    return {"changed": changed, "executable": installation.executable, "installed": wanted, "version": version, "message": message}


def absent(module: AnsibleModule, installation: Installation, before: str) -> _module.Result:
    """Remove the virtual environment and the note, and the directory if nothing else is in it."""
    note = os.path.join(installation.path, _NOTE)
    changed = installation.noted()
    if os.path.exists(installation.venv) and not changed:
        raise KplaneError(f"{installation.venv} is not removed: there is no {note}, so this module did not make it", path=installation.venv)
    if changed and not module.check_mode:
        try:
            if os.path.exists(installation.venv):
                shutil.rmtree(installation.venv)
            os.unlink(note)
            if not os.listdir(installation.path):
                os.rmdir(installation.path)
        except OSError as exc:
            raise KplaneError(f"Cannot remove {installation.path}: {exc.strerror or exc}", path=installation.path) from exc
    state = "was removed" if changed else "is not installed"
    return {
        "changed": changed,
        "executable": "",
        "installed": "",
        "version": "",
        "message": f"{embedded.EXECUTABLE} {state} ({installation.path})",
    }


def work(module: AnsibleModule) -> _module.Result:
    """Compare, install or remove, report."""
    installation = Installation(module.params["path"] or embedded.installation_dir())
    before = installation.installed()
    do: t.Callable[..., _module.Result] = present if module.params["state"] == "present" else absent
    result = do(module, installation, before)
    diff = {"before": {"installed": before}, "after": {"installed": result["installed"]}} if result["changed"] else {}
    return _module.with_diff(module, result, diff)


def main() -> None:
    spec: dict[str, t.Any] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "source": {"type": "str"},
        "path": {"type": "path"},
        "python": {"type": "path"},
        "pip_arguments": {"type": "list", "elements": "str", "default": []},
    }
    _module.run(AnsibleModule(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
