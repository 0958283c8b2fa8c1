#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_vcp
short_description: Manage virtual control planes
description:
  - Makes, changes and deletes virtual control planes (VCPs) of a kplane management plane. A VCP is a Kubernetes API of its own.
  - One task works on any number of VCPs at once, and returns a result for each.
  - Of a VCP that is there, only what was declared is compared and changed.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._plane
  - kplane.core._connection
  - kplane.core._wait
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the VCP, at most 63 lower-case letters, digits and C(-). V(root) and V(clusters) are reserved.
      - Exactly one of O(name), O(names) and O(vcps) is required.
    type: str
  names:
    description: The names of any number of VCPs that shall all be alike.
    type: list
    elements: str
  vcps:
    description:
      - The VCPs, each with what it shall be. What an entry does not say is taken from the option of the same name of the module.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the VCP.
        type: str
        required: true
      class:
        description: See O(class).
        type: str
      endpoint:
        description: See O(endpoint).
        type: str
      external_endpoint:
        description: See O(external_endpoint).
        type: str
      deletion_policy:
        description: See O(deletion_policy).
        type: str
        choices: [Retain, Destroy]
      cluster_path:
        description: See O(cluster_path).
        type: str
      labels:
        description: See O(labels). Merged over the labels of the module.
        type: dict
      annotations:
        description: See O(annotations). Merged over the annotations of the module.
        type: dict
      reattach:
        description: See O(reattach).
        type: str
  state:
    description:
      - V(present) makes sure that the VCPs are there as declared.
      - V(absent) makes sure that they and their endpoints are gone. What happens to their data is said by their deletion policy.
    type: str
    choices: [present, absent]
    default: present
  class:
    description: The class of the VCP. A new VCP that does not say has the class V(starter).
    type: str
  endpoint:
    description:
      - The address that the VCP is reached by inside the management plane, if it is not the one that the provider gives.
    type: str
  external_endpoint:
    description:
      - The address that clients reach the VCP by, and that its kubeconfig contains. If it is not given, it is O(endpoint).
    type: str
  deletion_policy:
    description:
      - Whether the data of the VCP is kept (V(Retain)) or wiped (V(Destroy)) when it is deleted. If neither the VCP nor its class
        says, it is kept.
      - With O(state=absent), it is set before the VCP is deleted.
    type: str
    choices: [Retain, Destroy]
  cluster_path:
    description:
      - The name of the VCP in the path of its address, if it is not its own name. It cannot be changed later; a difference is
        returned as RV(results[].drift).
    type: str
  labels:
    description: Labels that the VCP shall have. Others are left alone; a value of V(none) takes one away.
    type: dict
  annotations:
    description: Annotations that the VCP shall have. Others are left alone; a value of V(none) takes one away.
    type: dict
  reattach:
    description:
      - What a new VCP does with data that a deleted VCP of the same name has left (V(Retain)). Without it such a VCP is not accepted.
      - V(true) takes over the data, a uid takes over the data of the VCP that had it, V(false) starts empty.
    type: str
  parallel:
    description: How many VCPs to work on at the same time.
    type: int
    default: 12
seealso:
  - module: kplane.core.kplane_vcp_info
  - module: kplane.core.kplane_credentials
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Make a virtual control plane
  kplane.core.kplane_vcp:
    name: demo

- name: Make a hundred of them in one task
  kplane.core.kplane_vcp:
    names: "{{ query('ansible.builtin.sequence', 'count=100 format=blue-%03d') }}"
    class: starter
    labels:
      team: blue

- name: Make two that differ
  kplane.core.kplane_vcp:
    vcps:
      - name: staging
        deletion_policy: Destroy
      - name: production
        deletion_policy: Retain
        labels:
          tier: gold

- name: Delete one and its data
  kplane.core.kplane_vcp:
    name: demo
    state: absent
    deletion_policy: Destroy
"""

RETURN = r"""
vcp:
  description: The VCP, if O(name) was given. None if it is absent.
  returned: when O(name) is given
  type: dict
  sample: &sample
    name: demo
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
    labels:
      app.kubernetes.io/managed-by: kplane.core
    annotations: {}
    uid: 7c2a6d0c-6f0a-4d0b-9a57-0a0c6a6f7f0e
    created: "2026-01-01T00:00:00Z"
    age_seconds: 3
    age: 3s
results:
  description: One result for each VCP, in the order in which they were given.
  returned: always
  type: list
  elements: dict
  sample:
    - name: demo
      changed: true
      action: created
      failed: false
      msg: ""
      drift: []
  contains:
    name:
      description: The name of the VCP.
      returned: always
      type: str
    changed:
      description: Whether this VCP was changed.
      returned: always
      type: bool
    action:
      description: What was done, or would be done in check mode.
      returned: always
      type: str
      choices: [unchanged, created, updated, deleted]
    failed:
      description: Whether something went wrong with this VCP.
      returned: always
      type: bool
    msg:
      description: What went wrong.
      returned: always
      type: str
    drift:
      description: What was declared but cannot be changed.
      returned: always
      type: list
      elements: dict
    vcp:
      description: The VCP.
      returned: when it is there and was read
      type: dict
      sample: *sample
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _contract, _module, _plane, _vcp
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._diff import Differences
from ansible_collections.kplane.core.plugins.module_utils._errors import AlreadyExists, ApiError, KplaneError

_OWN = ("endpoint", "external_endpoint", "deletion_policy", "cluster_path", "reattach")


def declarations(params: t.Mapping[str, t.Any]) -> list[_vcp.Declared]:
    """What the options declare, checked; one entry for each VCP."""
    entries = params["vcps"]
    if entries is None:
        entries = [{"name": name} for name in ([params["name"]] if params["name"] is not None else params["names"])]
    found: dict[str, _vcp.Declared] = {}
    for entry in entries:
        name = entry["name"]
        for problem in (_contract.vcp_name_problem(name), _path_problem(entry.get("cluster_path") or params["cluster_path"])):
            if problem:
                raise KplaneError(problem)
        if name in found:
            raise KplaneError(f"The VCP {name!r} is declared twice")
        own = {key: entry.get(key) if entry.get(key) is not None else params[key] for key in _OWN}
        found[name] = _vcp.Declared(
            name=name,
            class_name=entry.get("class") if entry.get("class") is not None else params["class"],
            labels=_strings("labels", params["labels"], entry.get("labels")),
            annotations=_strings("annotations", params["annotations"], entry.get("annotations")),
            **own,
        )
    return list(found.values())


def _path_problem(path: str | None) -> str | None:
    return _contract.vcp_name_problem(path) if path is not None else None


def _strings(option: str, *parts: t.Mapping[str, t.Any] | None) -> dict[str, str | None] | None:
    """The merged labels or annotations; their values are text, or none to take one away."""
    merged: dict[str, str | None] = {}
    for part in parts:
        for key, value in (part or {}).items():
            if isinstance(value, (dict, list)):
                raise KplaneError(f"The value of {key!r} in {option} is not text")
            merged[str(key)] = None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return merged or None


class Task:
    """The work of one task on all of its VCPs."""

    def __init__(self, module: AnsibleModule, client: Client | None, addresses: _vcp.Addresses) -> None:
        self.module = module
        self.client = client
        self.addresses = addresses
        self.workers = module.params["parallel"]
        self.timeout = module.params["wait_timeout"]
        self.errors: dict[str, KplaneError] = {}
        self.objects: dict[str, Json | None] = {}

    @property
    def acts(self) -> bool:
        """Whether anything is written or waited for."""
        return not self.module.check_mode

    def run(self, declared: t.Sequence[_vcp.Declared]) -> tuple[list[_vcp.Step], _vcp.World]:
        """Compare and converge; what went wrong is kept by name."""
        names = [entry.name for entry in declared]
        world = _vcp.read_world(self.client, names, self.workers) if self.client else _vcp.EMPTY_WORLD
        self.objects.update(world.control_planes)
        if self.module.params["state"] == "absent":
            return self._absent([_vcp.plan_absent(entry, world) for entry in declared]), world
        world = self._let_go(world)
        steps = [_vcp.plan_present(entry, world, self.addresses) for entry in declared]
        self._apply(steps)
        raced = [entry for entry in declared if isinstance(self.errors.get(entry.name), AlreadyExists)]
        if raced and self.client:
            # Somebody else made them since we looked: compare with what they are now.
            again = _vcp.read_world(self.client, [entry.name for entry in raced], self.workers)
            replanned = {entry.name: _vcp.plan_present(entry, again, self.addresses) for entry in raced}
            self.objects.update(again.control_planes)
            for name in replanned:
                del self.errors[name]
            self._apply(list(replanned.values()))
            steps = [replanned.get(step.name, step) for step in steps]
            world = _vcp.World(world.control_planes, {**world.endpoints, **again.endpoints})
        self._wait_ready(steps, {entry.name for entry in declared if entry.reattach is not None})
        return steps, world

    def _let_go(self, world: _vcp.World) -> _vcp.World:
        """Wait for VCPs that are being deleted: they have to be gone before they can be made again."""
        leaving = {name: obj["metadata"]["uid"] for name, obj in world.control_planes.items() if obj["metadata"].get("deletionTimestamp")}
        if not leaving or not self.client:
            return world
        if self.acts:
            self.errors.update(_vcp.wait_gone(self.client, leaving, self.timeout))
            now = _vcp.read_world(self.client, list(leaving), self.workers)
        else:
            now = _vcp.EMPTY_WORLD
        ends = {_contract.endpoint_name(name) for name in leaving}
        return _vcp.World(
            {**{name: obj for name, obj in world.control_planes.items() if name not in leaving}, **now.control_planes},
            {**{name: obj for name, obj in world.endpoints.items() if name not in ends}, **now.endpoints},
        )

    def _apply(self, steps: t.Sequence[_vcp.Step]) -> None:
        client = self.client
        todo = [step for step in steps if step.changes and step.name not in self.errors]
        if client is None:
            return
        for step, outcome in zip(todo, run_all(lambda step: _vcp.apply(client, step, dry_run=not self.acts), todo, self.workers)):
            if isinstance(outcome, KplaneError):
                self.errors[step.name] = outcome
            elif outcome is not None:
                self.objects[step.name] = outcome

    def _wait_ready(self, steps: t.Sequence[_vcp.Step], chosen: set[str]) -> None:
        if not (self.acts and self.client and self.module.params["wait"]):
            return
        waiting = [
            step.name
            for step in steps
            if step.name not in self.errors and _vcp.readiness(step.name, self.objects.get(step.name)) is not True
        ]
        if waiting:
            objects, errors = _vcp.wait_ready(self.client, waiting, self.timeout, chosen)
            self.objects.update(objects)
            self.errors.update(errors)

    def _absent(self, steps: list[_vcp.Step]) -> list[_vcp.Step]:
        self._apply(steps)
        client = self.client
        if client is None:
            return steps
        deleted = [step for step in steps if step.delete_uid and step.name not in self.errors]
        if self.acts:
            if self.module.params["wait"] and deleted:
                self.errors.update(_vcp.wait_gone(client, {step.name: step.delete_uid for step in deleted}, self.timeout))
            self.objects.update({step.name: None for step in deleted if step.name not in self.errors})
        ending = [step for step in steps if step.delete_endpoint and step.name not in self.errors]
        for step, outcome in zip(
            ending, run_all(lambda step: _vcp.delete_endpoint(client, step, dry_run=not self.acts), ending, self.workers)
        ):
            if isinstance(outcome, KplaneError):
                self.errors[step.name] = outcome
        return steps

    def result(self, step: _vcp.Step, world: _vcp.World) -> Json:
        """What is returned for one VCP."""
        error = self.errors.get(step.name)
        # What was asked of the server may have happened even if the wait for its end failed.
        failed_to_write = isinstance(error, ApiError)
        result: Json = {
            "name": step.name,
            "changed": step.changes and not failed_to_write,
            "action": step.action,
            "failed": error is not None,
            "msg": error.message if error else "",
            "drift": list(step.drift),
        }
        obj = self.objects.get(step.name)
        if obj is not None:
            endpoint = step.create_endpoint or world.endpoints.get(_contract.endpoint_name(step.name))
            result["vcp"] = _vcp.summary(obj, endpoint)
        return result


def _reach(module: AnsibleModule) -> _plane.Reached | None:
    try:
        return _plane.reach(module.params)
    except (_plane.PlaneAbsent, _plane.PlaneStopped) as exc:
        # A play that would bring the management plane up first can be checked as a whole.
        if not module.check_mode:
            raise
        module.warn(f"{exc.message} In check mode it is taken for one without any VCP.")
        return None


def work(module: AnsibleModule) -> _module.Result:
    """Compare, converge, report."""
    declared = declarations(module.params)
    reached = _reach(module)
    task = Task(module, reached.client if reached else None, reached.endpoints if reached else lambda name: (_contract.vcp_path(name),) * 2)
    steps, world = task.run(declared)
    results = [task.result(step, world) for step in steps]
    differences = Differences()
    for step in steps:
        if step.changes:
            differences.add(step.name, step.before, step.after)
    result: _module.Result = {"changed": any(entry["changed"] for entry in results), "results": results}
    if module.params["name"] is not None:
        result["vcp"] = results[0].get("vcp")
    for entry in results:
        for drift in entry["drift"]:
            module.warn(
                f"{entry['name']}: {drift['option']} is {drift['found']!r}, declared is {drift['declared']!r}; it cannot be changed."
            )
    for text in reached.client.warnings if reached else []:
        module.warn(text)
    result = _module.with_diff(module, result, differences.as_result())
    failed = [entry for entry in results if entry["failed"]]
    if failed:
        message = "; ".join(f"{entry['name']}: {entry['msg']}" for entry in failed[:5])
        more = f" (and {len(failed) - 5} more)" if len(failed) > 5 else ""
        module.fail_json(msg=f"{len(failed)} of {len(results)} VCPs failed: {message}{more}", **result)
    return result


def main() -> None:
    own: _argspec.ArgumentSpec = {
        "class": {"type": "str"},
        "endpoint": {"type": "str"},
        "external_endpoint": {"type": "str"},
        "deletion_policy": {"type": "str", "choices": ["Retain", "Destroy"]},
        "cluster_path": {"type": "str"},
        "labels": {"type": "dict"},
        "annotations": {"type": "dict"},
        "reattach": {"type": "str"},
    }
    spec: dict[str, t.Any] = {
        "name": {"type": "str"},
        "names": {"type": "list", "elements": "str"},
        "vcps": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}, **own}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "parallel": {"type": "int", "default": 12},
        **own,
        **_argspec.PLANE,
        **_argspec.CONNECTION,
        **_argspec.WAIT,
    }
    which = [("name", "names", "vcps")]
    module = _module.Module(argument_spec=spec, supports_check_mode=True, mutually_exclusive=which, required_one_of=which)
    _module.run(module, work)


if __name__ == "__main__":
    main()
