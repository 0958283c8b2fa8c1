#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_management_plane_info
short_description: Look at a kplane management plane
description:
  - Says which management plane the options, the kplane configuration file and the host lead to, and how it is.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._attributes.info_module
  - kplane.core._plane
  - kplane.core._connection
seealso:
  - module: kplane.core.kplane_management_plane
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Look at the management plane
  kplane.core.kplane_management_plane_info:
  register: management_plane

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ management_plane.plane.server }}"
  when: management_plane.exists
"""

RETURN = r"""
exists:
  description: Whether there is such a management plane.
  returned: always
  type: bool
plane:
  description: The management plane as M(kplane.core.kplane_management_plane) returns it, or none.
  returned: always
  type: dict
  sample:
    provider: embedded
    name: kplane-management
    context: embedded-kplane-management
    running: true
    server: https://127.0.0.1:8443
    host: 127.0.0.1
    port: 8443
    version: v1.34.2
    kubeconfig: /home/jo/.local/share/kplane/kplane-management/admin.kubeconfig
    data_dir: /home/jo/.local/share/kplane/kplane-management
planes:
  description: The names of all management planes of the provider in their usual place.
  returned: always
  type: list
  elements: str
  sample: [kplane-management]
provider:
  description: The provider.
  returned: always
  type: str
  sample: embedded
provider_reason:
  description: Why it is this provider.
  returned: always
  type: str
  sample: it was asked for
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _module, _plane


def work(module: AnsibleModule) -> _module.Result:
    """Look."""
    chosen = _plane.choose(module.params)
    plane = chosen.driver.find()
    return {
        "changed": False,
        "exists": plane is not None,
        "plane": plane.summary() if plane else None,
        "planes": chosen.driver.planes(),
        "provider": chosen.driver.provider,
        "provider_reason": chosen.reason,
    }


def main() -> None:
    _module.run(_module.Module(argument_spec={**_argspec.PLANE, **_argspec.CONNECTION}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
