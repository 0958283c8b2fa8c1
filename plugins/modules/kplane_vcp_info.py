#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_vcp_info
short_description: List virtual control planes
description:
  - Reads one virtual control plane (VCP) of a kplane management plane, or all of them.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._attributes.info_module
  - kplane.core._plane
  - kplane.core._connection
  - kplane.core._kubeconfig
options:
  name:
    description: The name of a VCP. If it is not given, all are read.
    type: str
  label_selector:
    description: Only VCPs with these labels, as C(kubectl) takes them, for example V(team=blue,tier!=gold).
    type: str
    default: ""
  read_kubeconfig:
    description:
      - Whether to look into the user's kubeconfig too, and return for each VCP whether its context is there and is the current one.
    type: bool
    default: false
seealso:
  - module: kplane.core.kplane_vcp
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Look for one virtual control plane
  kplane.core.kplane_vcp_info:
    name: demo
  register: demo

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ demo.vcp.external_endpoint }}"
  when: demo.exists

- name: Count those of a team
  kplane.core.kplane_vcp_info:
    label_selector: team=blue
  register: blue
"""

RETURN = r"""
exists:
  description: Whether the VCP O(name) is there; without O(name), whether any is.
  returned: always
  type: bool
vcp:
  description: The VCP O(name), or none.
  returned: always
  type: dict
vcps:
  description: The VCPs, sorted by name.
  returned: always
  type: list
  elements: dict
  sample:
    - name: demo
      class: starter
      mode: Virtual
      ready: true
      reason: Reconciled
      message: ""
      deleting: false
      deletion_policy: ""
      cluster_path: demo
      endpoint: https://127.0.0.1:8443/clusters/demo/control-plane
      external_endpoint: https://127.0.0.1:8443/clusters/demo/control-plane
      context: kplane-demo
      labels: {}
      annotations: {}
      uid: 7c2a6d0c-6f0a-4d0b-9a57-0a0c6a6f7f0e
      created: "2026-01-01T00:00:00Z"
      age_seconds: 3
      age: 3s
  contains:
    name:
      description: The name.
      returned: always
      type: str
    class:
      description: The class.
      returned: always
      type: str
    mode:
      description: The mode.
      returned: always
      type: str
    ready:
      description: Whether it serves its API.
      returned: always
      type: bool
    reason:
      description: The reason of the condition C(Ready).
      returned: always
      type: str
    message:
      description: The message of the condition C(Ready).
      returned: always
      type: str
    deleting:
      description: Whether it is being deleted.
      returned: always
      type: bool
    deletion_policy:
      description: Its own deletion policy; empty if its class decides.
      returned: always
      type: str
    cluster_path:
      description: Its name in the path of its address.
      returned: always
      type: str
    endpoint:
      description: The address inside the management plane.
      returned: always
      type: str
    external_endpoint:
      description: The address for clients.
      returned: always
      type: str
    context:
      description: The name of its kubeconfig context.
      returned: always
      type: str
    labels:
      description: Its labels.
      returned: always
      type: dict
    annotations:
      description: Its annotations.
      returned: always
      type: dict
    uid:
      description: Its identity.
      returned: always
      type: str
    created:
      description: When it was made.
      returned: always
      type: str
    age_seconds:
      description: How many seconds ago that was.
      returned: always
      type: int
    age:
      description: The same for people.
      returned: always
      type: str
    has_credentials:
      description: Whether the kubeconfig has a context for it.
      returned: when O(read_kubeconfig) is V(true)
      type: bool
    current:
      description: Whether that is the current one.
      returned: when O(read_kubeconfig) is V(true)
      type: bool
    marker:
      description: V(*) if it is the current one, else a space.
      returned: when O(read_kubeconfig) is V(true)
      type: str
management_context:
  description: The name of the context of the management plane that was asked.
  returned: always
  type: str
  sample: embedded-kplane-management
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _contract, _kubeconfig_files, _module, _plane, _vcp
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError


def with_contexts(vcps: list[_module.Result], snapshot: _kubeconfig_files.Snapshot) -> list[_module.Result]:
    """The VCPs, with what the kubeconfig has for them."""
    current, contexts = snapshot.current_context(), set(snapshot.contexts())
    return [
        {
            **vcp,
            "has_credentials": vcp["context"] in contexts,
            "current": vcp["context"] == current,
            "marker": "*" if vcp["context"] == current else " ",
        }
        for vcp in vcps
    ]


def work(module: AnsibleModule) -> _module.Result:
    """Read."""
    name = module.params["name"]
    problem = _contract.vcp_name_problem(name) if name is not None else None
    if problem:
        raise KplaneError(problem)
    reached = _plane.reach(module.params)
    selector = module.params["label_selector"]
    if name is not None and not selector:
        world = _vcp.read_world(reached.client, [name])
        control_planes, endpoints = list(world.control_planes.values()), world.endpoints
    else:
        field = f"metadata.name={name}" if name is not None else ""
        control_planes = reached.client.list_all(_contract.CONTROL_PLANES, label_selector=selector, field_selector=field)[0]
        endpoints = {obj["metadata"]["name"]: obj for obj in reached.client.list_all(_contract.CONTROL_PLANE_ENDPOINTS)[0]}
    control_planes.sort(key=lambda obj: str(obj["metadata"]["name"]))
    vcps = [_vcp.summary(obj, endpoints.get(_vcp.endpoint_of(obj))) for obj in control_planes]
    if module.params["read_kubeconfig"]:
        vcps = with_contexts(vcps, _kubeconfig_files.KubeconfigFiles(_plane.kubeconfig_paths(module.params)).read())
    return {
        "changed": False,
        "exists": bool(vcps),
        "vcp": vcps[0] if name is not None and vcps else None,
        "vcps": vcps,
        "management_context": reached.context,
    }


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "name": {"type": "str"},
        "label_selector": {"type": "str", "default": ""},
        "read_kubeconfig": {"type": "bool", "default": False},
        "kubeconfig": {"type": "path"},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
