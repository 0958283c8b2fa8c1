# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of kplane_backup: the file that the module writes on the host of the task comes to the control node."""

from __future__ import annotations

import base64
import contextlib
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kplane.core.plugins.module_utils import _backup_file
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Result = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Runs the module; on another host into a directory of its own, which is gone afterwards."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        self._vars = task_vars
        arguments = dict(self._task.args)
        if arguments.get("dest"):
            arguments["dest"] = os.path.abspath(os.path.expanduser(str(arguments["dest"])))
        if not arguments.get("dest") or self._connection.transport == "local" or self._task.check_mode:
            return result | self._module(None, arguments)
        try:
            _backup_file.require_replaceable(arguments["dest"])
        except KplaneError as exc:
            raise AnsibleActionFail(exc.message) from exc
        made = self._module("ansible.builtin.tempfile", {"state": "directory", "prefix": "kplane-backup-"})
        if made.get("failed"):
            return result | made
        try:
            return result | self._fetched(arguments, self._connection._shell.join_path(made["path"], "backup"))
        finally:
            self._module("ansible.builtin.file", {"path": made["path"], "state": "absent"})

    def _module(self, name: str | None, arguments: Result) -> Result:
        found: Result = self._execute_module(module_name=name, module_args=arguments, task_vars=self._vars)
        return found

    def _fetched(self, arguments: Result, remote: str) -> Result:
        """The result of the module, whose file is here now."""
        dest = arguments["dest"]
        done = self._module(None, {**arguments, "dest": remote})
        if done.get("failed"):
            return done
        partial = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}.fetched")
        os.makedirs(os.path.dirname(dest), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        try:
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._fetch(remote, partial)
            if _backup_file.sha256(partial) != done["sha256"]:
                raise AnsibleActionFail(f"The backup was damaged on its way to {dest}, which is as it was. Try again")
            os.replace(partial, dest)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
        return {**done, "file": dest}

    def _fetch(self, remote: str, partial: str) -> None:
        # As ansible.builtin.fetch: with become, only a module can read the file.
        if not self._connection.become:
            self._connection.fetch_file(remote, partial)
            return
        content = self._module("ansible.builtin.slurp", {"src": remote})
        if content.get("failed"):
            raise AnsibleActionFail(f"The backup cannot be fetched: {content.get('msg')}")
        with open(partial, "wb") as handle:
            handle.write(base64.b64decode(content["content"]))
