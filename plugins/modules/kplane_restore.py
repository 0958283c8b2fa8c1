#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_restore
short_description: Bring a management plane back from a backup
description:
  - Makes a management plane what a file of M(kplane.core.kplane_backup) holds, usually one that was just made on a new machine or cluster.
    Every kubeconfig and token that was handed out before the backup is good again, if the address is the same.
  - B(It leaves the management plane stopped.) The role P(kplane.core.management_plane#role) starts it again, which the playbook
    C(kplane.core.restore) does at its end. An V(embedded) server is stopped; of a stack, the operator and the API server have no replicas.
  - The file is read and checked as a whole before anything is touched.
  - A run that was interrupted leaves an V(embedded) management plane as it was, or restored. Of a stack it leaves a note in the cluster.
    While that is there M(kplane.core.kplane_stack) refuses to work on it. The next run with the same file completes it.
  - Revisions go on above those of the backup, so that clients which have seen them list again. Where etcd was made anew and the difference
    is more than 200,000, that is not done, and there is a warning.
requirements:
  - websocket-client >= 1.6, except for the provider V(embedded)
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._plane
  - kplane.core._connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A backup that was restored already is not restored again, unless O(force=true).
options:
  src:
    description: The file, B(on the control node).
    type: path
    required: true
  force:
    description: Whether to replace a management plane that has virtual control planes. They are lost, with everything in them.
    type: bool
    default: false
  namespace:
    description:
      - The namespace of the stack. It has to be the one that it had when the backup was made.
      - If it is not given, it is the one that the kplane configuration file names, else V(kplane-system).
    type: str
  executable:
    description:
      - The C(kplane-server), C(kind) or C(k3d) to use.
      - If it is not given, it is looked for where M(kplane.core.kplane_management_plane) looks for it.
    type: path
  wait_timeout:
    description: How many seconds pods may take to end, and a connection to etcd may say nothing.
    type: float
    default: 120
seealso:
  - module: kplane.core.kplane_backup
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Bring the management plane back
  hosts: localhost
  tasks:
    - name: Put everything in place
      kplane.core.kplane_restore:
        src: backups/plane-2026-11-22.zip

    - name: Start it
      ansible.builtin.include_role:
        name: kplane.core.management_plane
"""

RETURN = r"""
file:
  description: The file.
  returned: success
  type: str
  sample: /var/backups/kplane.zip
manifest:
  description: What the file says of itself.
  returned: success
  type: dict
  sample:
    content: kplane-server data directory
    created: "2026-11-22T12:00:00Z"
    format: 1
    id: 0f343b0931126a20f133d67c2b018a3b
    kind: kplane backup
    plane: kplane-management
    provider: embedded
    vcps: 12
    version: 0.1.0
"""


from ansible_collections.kplane.core.plugins.module_utils import _argspec, _backup, _module


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "src": {"type": "path", "required": True},
        "force": {"type": "bool", "default": False},
        "namespace": {"type": "str"},
        "executable": {"type": "path"},
        "wait_timeout": {"type": "float", "default": 120.0},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), _backup.restore)


if __name__ == "__main__":
    main()
