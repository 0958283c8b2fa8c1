# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the module kplane_server that runs on the controller: it finds the source and brings it to the host."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kplane.core.plugins.module_utils import _source
from ansible_collections.kplane.core.plugins.module_utils._contract import SERVER_REQUIREMENT
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

#: The server's own project, where the collection was installed with it.
COLLECTION_SOURCE: t.Final = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", "server"))


class ActionModule(ActionBase):
    """Gives the module a source that it can read on its own host."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        source = arguments.get("source") or self._default_source()
        if arguments.get("state", "present") == "present":
            arguments["source"] = self._reachable(source) if os.path.isdir(os.path.expanduser(source)) else source
        try:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
            if isinstance(result.get("message"), str) and arguments.get("source") not in (None, source):
                # The archive is gone by now; people want to read what it was made of.
                result["message"] = result["message"].replace(arguments["source"], source)
        finally:
            action: t.Any = self  # what it inherits carries no annotations
            action._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _default_source(self) -> str:
        return COLLECTION_SOURCE if os.path.isfile(os.path.join(COLLECTION_SOURCE, _source.PROJECT)) else SERVER_REQUIREMENT

    def _reachable(self, source: str) -> str:
        """The source as the host of the task sees it: itself on the controller, else an archive that is sent there."""
        action: t.Any = self
        source = os.path.abspath(os.path.expanduser(source))
        if self._connection.transport == "local":
            return source
        handle, archive = tempfile.mkstemp(prefix="kplane-server-", suffix=".tar.gz")
        os.close(handle)
        try:
            _source.pack(source, archive)
            remote = self._connection._shell.join_path(self._make_tmp_path(), "source.tar.gz")
            action._transfer_file(archive, remote)
            action._fixup_perms2([self._connection._shell.tmpdir, remote])
        except KplaneError as exc:
            raise AnsibleActionFail(exc.message) from exc
        finally:
            os.unlink(archive)
        return str(remote)
