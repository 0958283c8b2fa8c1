# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of kplane_restore: the file of the control node goes to the host of the task."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kplane.core.plugins.module_utils import _backup_file
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Result = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Gives the module a file that it can read on its own host."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        action: t.Any = self  # what it inherits carries no annotations
        arguments = dict(self._task.args)
        if arguments.get("src"):
            arguments["src"] = os.path.abspath(os.path.expanduser(str(arguments["src"])))
        src = arguments.get("src")
        try:
            if src and self._connection.transport != "local":
                self._require(src)
                arguments["src"] = self._connection._shell.join_path(self._make_tmp_path(), "backup.zip")
                action._transfer_file(src, arguments["src"])
                action._fixup_perms2([self._connection._shell.tmpdir, arguments["src"]])
            done: Result = self._execute_module(module_args=arguments, task_vars=task_vars)
            if "file" in done:
                done["file"] = src
            if isinstance(done.get("msg"), str) and src:
                done["msg"] = done["msg"].replace(str(arguments["src"]), src)
            return result | done
        finally:
            action._remove_tmp_path(self._connection._shell.tmpdir)

    def _require(self, src: str) -> None:
        """See that it is a backup before it is sent."""
        try:
            with _backup_file.Archive(src):
                pass
        except KplaneError as exc:
            raise AnsibleActionFail(exc.message) from exc
