#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_backup
short_description: Back up a management plane to one file
description:
  - Writes all that a management plane must not lose to one file on the control node, with mode 0600. The management plane goes on working
    meanwhile, and the file holds its state at one revision.
  - Of an V(embedded) management plane that is its store with all virtual control planes, the master secret, the certificate authority and
    the administrator's credential.
  - Of a stack on V(kind), V(k3s) or V(kubeconfig) it is what the shared API server keeps in etcd, the Secrets of the certificate
    authority, of the signing keys and of the administrator's token, and the objects that the operator works on. etcd is read
    through a port-forward of the API server of the management cluster, so nothing has to be installed in it.
  - Whoever can read the file can do everything in the management plane and in all of its virtual control planes.
  - The module M(kplane.core.kplane_restore) brings it back.
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
    support: none
    details:
      - Each run makes a new backup.
options:
  dest:
    description:
      - The file to write, B(on the control node). It appears when it is complete; until then an earlier one stays.
      - A file that is there is replaced only if it is a backup.
    type: path
    required: true
  namespace:
    description:
      - The namespace of the stack.
      - If it is not given, it is the one that the kplane configuration file names, else V(kplane-system).
    type: str
  executable:
    description:
      - The C(kplane-server), C(kind) or C(k3d) to use.
      - If it is not given, it is looked for where M(kplane.core.kplane_management_plane) looks for it.
    type: path
  wait_timeout:
    description: How many seconds a connection to etcd may say nothing.
    type: float
    default: 120
seealso:
  - module: kplane.core.kplane_restore
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Back the management plane up
  kplane.core.kplane_backup:
    dest: "backups/plane-{{ now(utc=true).strftime('%Y-%m-%d') }}.zip"

- name: Back up the stack on a cluster of one's own
  kplane.core.kplane_backup:
    provider: kubeconfig
    management_context: production
    dest: /var/backups/kplane.zip
"""

RETURN = r"""
file:
  description: The file.
  returned: success and not in check mode
  type: str
  sample: /var/backups/kplane.zip
sha256:
  description: The digest of the file.
  returned: success and not in check mode
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
size:
  description: How many bytes it has.
  returned: success and not in check mode
  type: int
  sample: 123456
manifest:
  description: What the file says of itself. In check mode of a stack, what it would hold.
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
        "dest": {"type": "path", "required": True},
        "namespace": {"type": "str"},
        "executable": {"type": "path"},
        "wait_timeout": {"type": "float", "default": 120.0},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), _backup.back_up)


if __name__ == "__main__":
    main()
