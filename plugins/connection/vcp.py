# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection kplane.core.vcp: tasks run on the controller, and what they start finds its way to one VCP."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vcp
short_description: Run tasks on the controller, in an environment that leads to a virtual control plane
description:
  - Does what P(ansible.builtin.local#connection) does. Modules and commands find E(KUBECONFIG) and E(K8S_AUTH_KUBECONFIG) set to a
    kubeconfig of one virtual control plane (VCP), so that the modules of C(kubernetes.core), C(kubectl) and C(helm) work on it with
    nothing else set.
  - They find E(KPLANE_MANAGEMENT_KUBECONFIG) and E(KPLANE_MANAGEMENT_CONTEXT) too, so that the modules of C(kplane.core) work on its
    management plane.
  - The credential is taken when the first task of a host needs it. It lies in a private file (0600) in the temporary directory of the run,
    which Ansible removes at its end.
  - The inventory P(kplane.core.kplane#inventory) sets this connection for the hosts that it finds.
extends_documentation_fragment:
  - connection_pipelining
  - kplane.core._plane_vars
options:
  vcp:
    description: The name of the VCP.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: kplane_name
  become_success_timeout:
    description: Number of seconds to wait for become to succeed when enabled.
    type: int
    default: 10
    vars:
      - name: ansible_local_become_success_timeout
  become_strip_preamble:
    description: Strip internal become output preceding command execution.
    type: bool
    default: true
    vars:
      - name: ansible_local_become_strip_preamble
notes:
  - Lookups and filters run in Ansible itself and not through a connection, so they do not see this environment. Give them a kubeconfig by
    P(kplane.core.kubeconfig#lookup).
author:
  - kplane.core contributors (@kplane-dev)
"""

import contextlib
import os
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as LocalConnection

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _run_credentials


class Connection(LocalConnection):
    """What Ansible loads. ``transport`` stays ``local``: files need not be brought anywhere."""

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        with _changed(self._environment()):
            done: tuple[int, bytes, bytes] = super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return done

    def _environment(self) -> dict[str, str]:
        option = t.cast(t.Callable[[str], t.Any], self.get_option)
        options = {name: option(name) for name in _run_credentials.PLANE_OPTIONS}
        try:
            path = _run_credentials.file(options, str(option("vcp")))
        except KplaneError as exc:
            raise AnsibleConnectionFailure(exc.message) from exc
        environment = {"KUBECONFIG": path, "K8S_AUTH_KUBECONFIG": path}
        given = options["management_kubeconfig"]
        if isinstance(given, str) and given:
            environment["KPLANE_MANAGEMENT_KUBECONFIG"] = os.path.abspath(os.path.expanduser(given))
            if options["management_context"]:
                environment["KPLANE_MANAGEMENT_CONTEXT"] = str(options["management_context"])
        return environment


@contextlib.contextmanager
def _changed(environment: t.Mapping[str, str]) -> t.Iterator[None]:
    """The environment of this process (which belongs to one task of one host) with some variables set."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
