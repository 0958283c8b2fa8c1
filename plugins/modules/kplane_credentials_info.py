#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_credentials_info
short_description: List the contexts of a kubeconfig
description:
  - Reads the contexts of the user's kubeconfig files, and says which of them belong to a kplane management plane. No credential is
    returned, and no server is asked.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.info_module
  - kplane.core._plane.config_path
  - kplane.core._kubeconfig
options:
  name:
    description: Only the context of this VCP.
    type: str
  context:
    description: Only the context of this name.
    type: str
seealso:
  - module: kplane.core.kplane_credentials
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Look for the credentials of a virtual control plane
  kplane.core.kplane_credentials_info:
    name: demo
  register: demo

- name: Say until when they are good
  ansible.builtin.debug:
    msg: "{{ demo.contexts[0].expires }}"
  when: demo.exists
"""

RETURN = r"""
exists:
  description: Whether there is any such context.
  returned: always
  type: bool
contexts:
  description: The contexts.
  returned: always
  type: list
  elements: dict
  sample:
    - context: kplane-demo
      current: false
      server: https://127.0.0.1:8443/clusters/demo/control-plane
      namespace: ""
      expires: "2026-01-02T00:00:00Z"
      expired: false
      management_plane: embedded-kplane-management
      vcp: demo
  contains:
    context:
      description: Its name.
      returned: always
      type: str
    current:
      description: Whether it is the current one.
      returned: always
      type: bool
    server:
      description: The address of the API.
      returned: always
      type: str
    namespace:
      description: Its namespace.
      returned: always
      type: str
    expires:
      description: When its token ends; empty if it does not say.
      returned: always
      type: str
    expired:
      description: Whether its token has ended.
      returned: always
      type: bool
    management_plane:
      description: The context name of the management plane that it belongs to; empty if this collection did not write it.
      returned: always
      type: str
    vcp:
      description: The VCP that it belongs to; empty for the management plane and for contexts of others.
      returned: always
      type: str
current_context:
  description: The current context.
  returned: always
  type: str
kubeconfig:
  description: The files that were looked at, in the order of their precedence.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _contract, _kubeconfig, _kubeconfig_files, _module, _plane, _tokens


def entry(snapshot: _kubeconfig_files.Snapshot, name: str) -> _module.Result:
    """One context as it is returned."""
    context = snapshot.find("contexts", name) or {}
    cluster = snapshot.find("clusters", str(context.get("cluster") or "")) or {}
    user = snapshot.find("users", str(context.get("user") or "")) or {}
    lifetime = _tokens.lifetime(str(user.get("token") or ""))
    owner = _kubeconfig.owner_of(context)
    return {
        "context": name,
        "current": snapshot.current_context() == name,
        "server": str(cluster.get("server") or ""),
        "namespace": str(context.get("namespace") or ""),
        "expires": _tokens.timestamp(lifetime.expires),
        "expired": lifetime.ends_within(0),
        "management_plane": owner.plane if owner else "",
        "vcp": owner.vcp if owner else "",
    }


def work(module: AnsibleModule) -> _module.Result:
    """Read."""
    snapshot = _kubeconfig_files.KubeconfigFiles(_plane.kubeconfig_paths(module.params)).read()
    wanted = module.params["context"]
    if module.params["name"] is not None:
        wanted = _contract.vcp_context(module.params["name"])
    contexts = [entry(snapshot, name) for name in snapshot.contexts() if wanted in (None, name)]
    return {
        "changed": False,
        "exists": bool(contexts),
        "contexts": contexts,
        "current_context": snapshot.current_context(),
        "kubeconfig": list(snapshot.paths),
    }


def main() -> None:
    spec = {"name": {"type": "str"}, "context": {"type": "str"}, "kubeconfig": {"type": "path"}, "config_path": {"type": "path"}}
    _module.run(AnsibleModule(argument_spec=spec, supports_check_mode=True, mutually_exclusive=[("name", "context")]), work)


if __name__ == "__main__":
    main()
