# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets among the arguments of a module are hidden before anything is logged or refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kplane.core.plugins import modules
from ansible_collections.kplane.core.plugins.module_utils import _module

KUBECONFIG = {"kind": "Config", "users": [{"name": "me", "user": {"token": "tok-SECRET", "client-key-data": "a2V5LVNFQ1JFVA=="}}]}
SECRET = re.compile("SECRET|a2V5")
SPEC = {"management_kubeconfig": {"type": "raw"}, "port": {"type": "int"}}


def run():
    _module.run(_module.Module(argument_spec=SPEC), lambda module: {"changed": False, "echo": module.params["management_kubeconfig"]})


def ran(capsys, arguments):
    """What a module prints for these arguments."""
    with patch_module_args(arguments), pytest.raises(SystemExit):
        run()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "given", [KUBECONFIG, [KUBECONFIG], json.dumps(KUBECONFIG), "\nkind: Config\nusers: [{user: {token: tok-SECRET}}]"]
)
@pytest.mark.parametrize("more", [{}, {"port": "many"}, {"prot": 1}])
def test_nothing_secret_is_printed_or_logged(capsys, monkeypatch, given, more):
    logged = []
    monkeypatch.setattr(_module.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    printed = ran(capsys, {"management_kubeconfig": given, **more})
    assert not SECRET.search(printed)
    assert not SECRET.search(" ".join(logged))
    # Names stay readable; only what is secret is replaced.
    if isinstance(given, dict):
        assert '"me"' in printed
    if isinstance(given, str) and not more:
        assert "has to be the path of a kubeconfig" in json.loads(printed)["msg"]


def test_a_path_is_no_document(capsys):
    assert json.loads(ran(capsys, {"management_kubeconfig": "/home/me/.kube/config: 2"}))["echo"] == "/home/me/.kube/config: 2"


@pytest.mark.parametrize("path", sorted(Path(modules.__path__[0]).glob("kplane_*.py")), ids=lambda path: path.stem)
def test_modules_that_take_such_an_argument_hide_it(path):
    text = path.read_text()
    documented = text.partition("EXAMPLES = ")[0]
    takes = "kplane.core._connection" in documented or any(f"\n  {option}:\n" in documented for option in _module._WITH_SECRETS)
    if takes and "_module.run(" in text:
        assert "_module.Module(" in text
        assert " AnsibleModule(" not in text
