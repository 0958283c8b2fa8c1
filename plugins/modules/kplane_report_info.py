#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_report_info
short_description: Gather what a report of management planes shows
description:
  - Reads management planes and the record of the last fleet run, and returns the figures that the role P(kplane.core.report#role)
    makes a page of.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._attributes.info_module
  - kplane.core._plane
  - kplane.core._connection
options:
  planes:
    description: Several management planes. If it is not given, it is the one that the other options lead to.
    type: list
    elements: dict
    suboptions:
      name:
        description: What it is called in the report. If it is not given, it is the name of its context.
        type: str
      management_kubeconfig:
        description: See O(management_kubeconfig). A path.
        type: path
      management_context:
        description: See O(management_context).
        type: str
      provider:
        description: See O(provider).
        type: str
      cluster_name:
        description: See O(cluster_name).
        type: str
      data_dir:
        description: See O(data_dir).
        type: path
  label_selector:
    description: Only virtual control planes with these labels, for example V(kplane.core/fleet=blue).
    type: str
    default: ""
  record:
    description: The record that M(kplane.core.kplane_fleet) wrote. If there is none, nothing is said about the last run.
    type: path
  top:
    description: How many virtual control planes the lists of the report name.
    type: int
    default: 10
seealso:
  - module: kplane.core.kplane_fleet
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Gather the figures of a fleet
  kplane.core.kplane_report_info:
    label_selector: kplane.core/fleet=blue
    record: ~/.local/state/kplane/fleets/blue.json
  register: figures
"""

RETURN = r"""
report:
  description: The figures.
  returned: success
  type: dict
  contains:
    generated:
      description: When they were gathered.
      returned: always
      type: str
    planes:
      description: The management planes, with their name, server, version, number of virtual control planes and memory, where known.
      returned: always
      type: list
      elements: dict
    total:
      description: How many virtual control planes there are.
      returned: always
      type: int
    states:
      description: How many are C(ready), C(not_ready), C(paused) and C(deleting).
      returned: always
      type: dict
    classes:
      description: The same for each class.
      returned: always
      type: list
      elements: dict
    growth:
      description: How many of those that are there now were there at each C(time).
      returned: always
      type: list
      elements: dict
    usage:
      description: Objects and bytes in all, for how many that is C(known), and the C(largest).
      returned: always
      type: dict
    slowest:
      description: Those that took longest.
      returned: always
      type: list
      elements: dict
    failures:
      description: How many should be ready and are not.
      returned: always
      type: int
    failing:
      description: Those of them that O(top) leaves room for, with reason and message.
      returned: always
      type: list
      elements: dict
    run:
      description: What the last run did, or none.
      returned: always
      type: dict
vcps:
  description: Every virtual control plane.
  returned: success
  type: list
  elements: dict
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _contract, _io, _module, _plane, _report, _yaml
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._errors import ApiError, KplaneError

_RECORD_KIND = "kplane.core/FleetRun"


def read_plane(options: t.Mapping[str, t.Any], selector: str) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
    """One management plane and its VCPs."""
    reached = _plane.reach(options)
    with reached.client as client:
        objects, _version = client.list_all(_contract.CONTROL_PLANES, label_selector=selector)
        try:
            samples = _report.metrics(client.request("GET", "/metrics").body.decode(errors="replace"))
        except ApiError:
            # Not every credential may read metrics; the report says what it does not know.
            samples = {}
        name = str(options.get("name") or reached.context)
        plane = {
            "name": name,
            "server": client.server,
            "version": str(client.request("GET", "/version").json().get("gitVersion") or ""),
            "vcps": len(objects),
            "memory_bytes": _report.single(samples, "process_resident_memory_bytes"),
            "storage_bytes": _report.single(samples, "kplane_storage_file_bytes"),
            "objects": _report.single(samples, "kplane_storage_objects"),
        }
        return plane, _report.rows(objects, name, samples)


def read_record(path: str | None) -> dict[str, t.Any] | None:
    """The record of the last run, if there is one."""
    content = _io.read_bytes(_io.expand(path)) if path else None
    if content is None or path is None:
        return None
    record = _yaml.load(content, path)
    if not isinstance(record, dict) or record.get("kind") != _RECORD_KIND:
        raise KplaneError(f"{path} is not the record of a fleet run", path=path)
    return record


def work(module: AnsibleModule) -> _module.Result:
    """Read."""
    params = module.params
    common = {key: params[key] for key in (*_argspec.PLANE, *_argspec.CONNECTION)}
    given = [{key: value for key, value in plane.items() if value is not None} for plane in params["planes"] or []]
    options = [{"config_path": params["config_path"], "request_timeout": params["request_timeout"], **plane} for plane in given] or [common]
    planes: list[dict[str, t.Any]] = []
    vcps: list[dict[str, t.Any]] = []
    for outcome in run_all(lambda one: read_plane(one, params["label_selector"]), options):
        if isinstance(outcome, KplaneError):
            raise outcome
        planes.append(outcome[0])
        vcps += outcome[1]
    report = _report.report(planes, vcps, read_record(params["record"]), time.time(), params["top"])
    return {"changed": False, "report": report, "vcps": vcps}


def main() -> None:
    plane: dict[str, t.Any] = {
        "name": {"type": "str"},
        "management_kubeconfig": {"type": "path"},
        "management_context": {"type": "str"},
        "provider": {"type": "str"},
        "cluster_name": {"type": "str"},
        "data_dir": {"type": "path"},
    }
    spec: dict[str, t.Any] = {
        "planes": {"type": "list", "elements": "dict", "options": plane},
        "label_selector": {"type": "str", "default": ""},
        "record": {"type": "path"},
        "top": {"type": "int", "default": 10},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
