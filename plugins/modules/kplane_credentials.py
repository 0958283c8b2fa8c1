#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_credentials
short_description: Manage kubeconfig entries of virtual control planes
description:
  - Writes what a kubeconfig needs to reach virtual control planes (VCPs), or the management plane itself, or takes exactly that out.
  - The context, the cluster and the user of the VCP C(demo) are all called C(kplane-demo). All other entries stay as they are, and
    so does the current context unless O(set_current) is set.
  - The server's certificate is always verified, with the authority of the management plane.
  - The file is replaced in one step, under the lock that C(kubectl) and client-go take, and is readable by its owner only if it is
    new. A file that cannot be read or understood is never overwritten.
extends_documentation_fragment:
  - ansible.builtin.files
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._plane
  - kplane.core._connection
  - kplane.core._kubeconfig
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Tokens, passwords and client certificates are left out.
  idempotent:
    support: partial
    details:
      - Not with O(regenerate=always).
options:
  name:
    description: The name of a VCP.
    type: str
  names:
    description: The names of any number of VCPs.
    type: list
    elements: str
  all:
    description:
      - All VCPs of the management plane that are ready.
      - With O(state=absent), all entries that this collection wrote for the management plane and its VCPs, whether or not those
        are still there.
    type: bool
    default: false
  management_plane:
    description: The management plane itself, with its administrator's credential.
    type: bool
    default: false
  state:
    description:
      - V(present) makes sure that the entries are there and that their credentials work.
      - V(absent) makes sure that they are gone. If the current context is one of them, there is none afterwards.
    type: str
    choices: [present, absent]
    default: present
  set_current:
    description: Whether the context that is written becomes the current one. Possible with a single one only.
    type: bool
    default: false
  regenerate:
    description:
      - When to replace a credential that is there.
      - V(never) keeps it, even if it has ended.
      - V(expired) replaces it when the server does not accept it any more or when it ends soon (see O(renew_before)).
      - V(always) gets a new one in each run.
    type: str
    choices: [never, expired, always]
    default: expired
  renew_before:
    description:
      - How many seconds before its end a credential is replaced. If it is not given, it is a fifth of its life.
    type: float
  duration:
    description:
      - For how many seconds a new credential shall be good. If it is not given, the one that the management plane holds ready is used.
      - The server may give less.
    type: int
  overwrite:
    description:
      - Whether to replace or remove an entry of the same name that is not ours, that is, one that leads elsewhere or belongs to
        another management plane. Without it, that is a failure; nothing is lost by a coincidence of names.
    type: bool
    default: false
  backup:
    description: Whether to keep a copy of the file beside it before it is changed.
    type: bool
    default: false
  lock_timeout:
    description: How many seconds to wait for another program that holds the lock of the file.
    type: float
    default: 15
  parallel:
    description: How many VCPs to work on at the same time.
    type: int
    default: 12
seealso:
  - module: kplane.core.kplane_credentials_info
  - module: kplane.core.kplane_vcp
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Let kubectl reach a virtual control plane
  kplane.core.kplane_credentials:
    name: demo

- name: Write a kubeconfig of its own, with a credential for one day
  kplane.core.kplane_credentials:
    name: demo
    kubeconfig: ~/demo.kubeconfig
    duration: 86400
    set_current: true

- name: Take the entries out again
  kplane.core.kplane_credentials:
    name: demo
    state: absent
"""

RETURN = r"""
results:
  description: One result for each context.
  returned: success
  type: list
  elements: dict
  sample:
    - context: kplane-demo
      vcp: demo
      changed: true
      reason: there was none
      server: https://127.0.0.1:8443/clusters/demo/control-plane
      expires: "2026-01-02T00:00:00Z"
  contains:
    context:
      description: The name of the context, cluster and user.
      returned: success
      type: str
    vcp:
      description: The name of the VCP; empty for the management plane.
      returned: success
      type: str
    changed:
      description: Whether these entries were changed.
      returned: success
      type: bool
    reason:
      description: Why the credential was written; empty if it was kept.
      returned: success
      type: str
    server:
      description: The address of the API.
      returned: success
      type: str
    expires:
      description: When the credential ends; empty if it does not say.
      returned: success
      type: str
kubeconfig:
  description: The files that were looked at, in the order of their precedence.
  returned: success
  type: list
  elements: str
  sample: [/home/jo/.kube/config]
current_context:
  description: The current context afterwards.
  returned: success
  type: str
  sample: kplane-demo
backup_files:
  description: The copies that were made.
  returned: when O(backup) is V(true) and something was changed
  type: list
  elements: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import (
    _argspec,
    _contract,
    _credentials,
    _io,
    _kubeconfig,
    _kubeconfig_files,
    _module,
    _plane,
    _tokens,
    _vcp,
)
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Decided = t.Tuple[_kubeconfig.EntrySet, str]


def files(params: t.Mapping[str, t.Any]) -> _kubeconfig_files.KubeconfigFiles:
    """The kubeconfig files that are meant."""
    return _kubeconfig_files.KubeconfigFiles(_plane.kubeconfig_paths(params), params["lock_timeout"])


def asked_names(params: t.Mapping[str, t.Any]) -> list[str]:
    """The VCPs that the options name, each once."""
    names = ([params["name"]] if params["name"] is not None else []) + (params["names"] or [])
    for name in names:
        problem = _contract.vcp_name_problem(name)
        if problem:
            raise KplaneError(problem)
    return list(dict.fromkeys(names))


class Present:
    """Entries that shall be there."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.policy = _credentials.Policy(self.params["regenerate"], self.params["renew_before"], self.params["duration"])
        #: In check mode: the contexts of what an earlier task of the play would have made.
        self.expected: list[str] = []

    def decide(self, snapshot: _kubeconfig_files.Snapshot) -> list[Decided]:
        """The entries to write, with the reason for a new credential."""
        found: list[Decided] = []
        names = asked_names(self.params)
        try:
            if self.params["management_plane"]:
                found.append(self._management_plane(snapshot))
            if names or self.params["all"]:
                found += self._vcps(snapshot, names)
        except (_plane.PlaneAbsent, _plane.PlaneStopped) as exc:
            # A play that would bring the management plane up first can be checked as a whole.
            if not self.module.check_mode:
                raise
            self.module.warn(f"{exc.message} In check mode it is taken for one that has what was asked for.")
            plane = [_plane.context_name(self.params)] if self.params["management_plane"] and not found else []
            self.expected = plane + [_contract.vcp_context(name) for name in names]
        if not self.params["overwrite"]:
            _credentials.require_ours(snapshot, [entries for entries, _reason in found])
        return found

    def _management_plane(self, snapshot: _kubeconfig_files.Snapshot) -> Decided:
        chosen = _plane.choose(self.params)
        if chosen.driver.find() is None:
            _plane.require_running(chosen)
        entries = _credentials.plane_entries(chosen.driver)
        return entries, "" if snapshot.find("users", entries.name) == entries.user else "it is the administrator's of now"

    def _vcps(self, snapshot: _kubeconfig_files.Snapshot, names: list[str]) -> list[Decided]:
        reached = _plane.reach(self.params)
        if self.params["all"]:
            listed = reached.client.list_all(_contract.CONTROL_PLANES)[0]
            names = names + [obj["metadata"]["name"] for obj in listed if _vcp.readiness("", obj) is True]
        timeout = self.params["request_timeout"]

        def one(name: str) -> Decided:
            offer = _credentials.secret_offer(reached.client, name)
            entry = _contract.vcp_context(name)
            existing = (snapshot.find("clusters", entry), snapshot.find("users", entry))
            decision = _credentials.decide(offer, existing[0], existing[1], self.policy, timeout, self.module.check_mode)
            return _kubeconfig.EntrySet(entry, offer.cluster, decision.user, reached.context, name), decision.reason

        names = sorted(set(names))
        results = run_all(one, names, self.params["parallel"])
        if self.module.check_mode:
            missing = [name for name, result in zip(names, results) if isinstance(result, _credentials.VcpMissing)]
            self.expected += [_contract.vcp_context(name) for name in missing]
            results = [result for result in results if not isinstance(result, _credentials.VcpMissing)]
        errors = [result for result in results if isinstance(result, KplaneError)]
        if errors:
            more = f" (and {len(errors) - 1} more failed)" if len(errors) > 1 else ""
            raise KplaneError(f"Nothing was written: {errors[0].message}{more}", **errors[0].details)
        return [result for result in results if not isinstance(result, KplaneError)]

    def change(self, decided: t.Sequence[Decided]) -> _kubeconfig_files.Change:
        """What is done to the files."""

        def apply(snapshot: _kubeconfig_files.Snapshot) -> _kubeconfig_files.Snapshot:
            for entries, _reason in decided:
                snapshot = snapshot.put(entries)
            if self.params["set_current"] and decided:
                snapshot = snapshot.set_current(decided[0][0].name)
            return snapshot

        return apply


def absent_contexts(params: t.Mapping[str, t.Any], snapshot: _kubeconfig_files.Snapshot, warn: t.Callable[[str], None]) -> list[str]:
    """The contexts to remove: those that were asked for and are ours."""
    plane = _plane.context_name(params)
    asked = [_contract.vcp_context(name) for name in asked_names(params)]
    if params["management_plane"]:
        asked.append(plane)
    names = [name for name in asked if snapshot.find("contexts", name) is not None]
    ours = set(snapshot.owned(plane))
    for name in [name for name in names if name not in ours and not params["overwrite"]]:
        warn(f"The context {name} was left: kplane.core did not write it for {plane}. Set overwrite to true to remove it.")
        names.remove(name)
    return list(dict.fromkeys(names + (sorted(ours) if params["all"] else [])))


def _backups(module: AnsibleModule, before: _kubeconfig_files.Snapshot, after: _kubeconfig_files.Snapshot) -> list[str]:
    if not module.params["backup"] or module.check_mode:
        return []
    return [module.backup_local(path) for path in _kubeconfig_files.altered(before, after) if os.path.exists(path)]


def work(module: AnsibleModule) -> _module.Result:
    """Decide, write, report."""
    params = module.params
    target = files(params)
    snapshot = target.read()
    if params["state"] == "present":
        present = Present(module)
        decided = present.decide(snapshot)
        expected = present.expected
        for entries, _reason in decided:
            module.no_log_values.update(_kubeconfig.secrets(entries.user))
        if params["set_current"] and len(decided) + len(expected) != 1:
            raise KplaneError(f"set_current needs exactly one context, {len(decided)} were asked for")
        change = present.change(decided)
    else:
        removed = absent_contexts(params, snapshot, module.warn)
        decided, expected = [], []

        def change(now: _kubeconfig_files.Snapshot) -> _kubeconfig_files.Snapshot:
            for name in removed:
                now = now.remove(name)
            return now

    backups = _backups(module, snapshot, change(snapshot))
    before, after = target.change(change, dry_run=module.check_mode)
    changed = bool(_kubeconfig_files.altered(before, after) or expected)
    for path in after.documents:
        if os.path.exists(path):
            changed = module.set_fs_attributes_if_different(
                {**module.load_file_common_arguments(params, path=os.path.realpath(path))}, changed
            )
    results = [_result(before, after, entries, reason) for entries, reason in decided]
    results += [_outline(name, name[len(_contract.VCP_CONTEXT_PREFIX) :], "it would be new") for name in expected]
    if params["state"] == "absent":
        results = [
            {"context": name, "vcp": _owner(before, name), "changed": True, "reason": "", "server": "", "expires": ""} for name in removed
        ]
    result: _module.Result = {
        "changed": changed,
        "results": results,
        "kubeconfig": list(target.paths),
        "current_context": after.current_context(),
    }
    if backups:
        result["backup_files"] = backups
    _warn_about_modes(module, target.paths)
    return _module.with_diff(module, result, _kubeconfig_files.unified(before, after))


def _outline(name: str, vcp: str, reason: str) -> _module.Result:
    """The result for a context of which no more than this is known."""
    return {"context": name, "vcp": vcp, "changed": True, "reason": reason, "server": "", "expires": ""}


def _owner(snapshot: _kubeconfig_files.Snapshot, name: str) -> str:
    owner = _kubeconfig.owner_of(snapshot.find("contexts", name))
    return owner.vcp if owner else ""


def _result(
    before: _kubeconfig_files.Snapshot, after: _kubeconfig_files.Snapshot, entries: _kubeconfig.EntrySet, reason: str
) -> _module.Result:
    same = all(before.find(section, entries.name) == after.find(section, entries.name) for section in _kubeconfig.SECTIONS)
    return {
        "context": entries.name,
        "vcp": entries.vcp,
        "changed": not same,
        "reason": "" if same else reason,
        "server": str(entries.cluster.get("server") or ""),
        "expires": _tokens.timestamp(_tokens.lifetime(str(entries.user.get("token") or "")).expires),
    }


def _warn_about_modes(module: AnsibleModule, paths: t.Sequence[str]) -> None:
    for path in paths:
        mode = _io.mode_of(path)
        if mode is not None and mode & 0o077:
            module.warn(f"{path} holds credentials and has mode {mode:04o}: others can read it. Set mode to '0600'.")


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "name": {"type": "str"},
        "names": {"type": "list", "elements": "str"},
        "all": {"type": "bool", "default": False},
        "management_plane": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "kubeconfig": {"type": "path"},
        "set_current": {"type": "bool", "default": False},
        "regenerate": {"type": "str", "choices": ["never", "expired", "always"], "default": "expired"},
        "renew_before": {"type": "float"},
        "duration": {"type": "int"},
        "overwrite": {"type": "bool", "default": False},
        "backup": {"type": "bool", "default": False},
        "lock_timeout": {"type": "float", "default": 15.0},
        "parallel": {"type": "int", "default": 12},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    module = _module.Module(
        argument_spec=spec,
        supports_check_mode=True,
        add_file_common_args=True,
        mutually_exclusive=[("management_plane", "management_kubeconfig"), ("management_plane", "management_context")],
    )
    if not (
        module.params["name"] is not None or module.params["names"] is not None or module.params["all"] or module.params["management_plane"]
    ):
        module.fail_json(msg="one of the following is required: name, names, all, management_plane")
    _module.run(module, work)


if __name__ == "__main__":
    main()
