# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup kplane.core.kubeconfig: the kubeconfig of a VCP, as data or as a file of this run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeconfig
short_description: Get the kubeconfig of a virtual control plane
description:
  - Asks the management plane for the credential of a virtual control plane (VCP), and returns a kubeconfig with one cluster, one context
    and one user.
  - The kubeconfig files of the user are never written.
extends_documentation_fragment:
  - kplane.core._plane_vars
options:
  _terms:
    description: The names of VCPs.
    type: list
    elements: str
    required: true
  file:
    description:
      - Whether to return the path of a file in place of the content. It is private (0600), lies in the temporary directory of this run
        of Ansible on the controller, and is gone when the run ends.
      - In one run the file is made once.
    type: bool
    default: false
seealso:
  - plugin: kplane.core.kplane
    plugin_type: inventory
  - plugin: kplane.core.vcp
    plugin_type: connection
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Make a namespace in a virtual control plane
  kubernetes.core.k8s:
    kubeconfig: "{{ lookup('kplane.core.kubeconfig', 'demo', file=true) }}"
    kind: Namespace
    name: blue

- name: Hand the credential to a module that takes it as data
  kubernetes.core.k8s_info:
    kubeconfig: "{{ lookup('kplane.core.kubeconfig', 'demo') }}"
    kind: Namespace
  no_log: true
"""

RETURN = r"""
_raw:
  description: The kubeconfigs as data, or with O(file=true) the paths of files.
  type: list
  elements: raw
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _run_credentials


class LookupModule(LookupBase):
    """What Ansible loads."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        t.cast(t.Callable[..., None], self.set_options)(var_options=variables, direct=kwargs)
        option = t.cast(t.Callable[[str], t.Any], self.get_option)
        options = {name: option(name) for name in _run_credentials.PLANE_OPTIONS}
        read = _run_credentials.file if option("file") else _run_credentials.document
        try:
            return [read(options, str(term)) for term in terms]
        except KplaneError as exc:
            raise AnsibleLookupError(exc.message) from exc
