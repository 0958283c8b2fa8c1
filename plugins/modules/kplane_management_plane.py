#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_management_plane
short_description: Manage a kplane management plane
description:
  - Brings a management plane of virtual control planes (VCPs) up, stops it, or takes it away.
  - For the provider V(embedded) it starts, finds and stops the server C(kplane-server) of the user. For V(kind) and V(k3s) it makes,
    finds and deletes the cluster; for V(kubeconfig) it checks that the cluster is fit. What runs in these clusters is brought in by
    M(kplane.core.kplane_stack).
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane
  - kplane.core._plane
  - kplane.core._kubeconfig
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Not with O(recreate=always).
options:
  state:
    description:
      - V(present) makes sure that the management plane is there and answers.
      - V(stopped) makes sure that it does not run. Its data is kept.
      - V(absent) takes it away B(with all of its virtual control planes and their data). On V(kubeconfig) the cluster stays, and what
        was applied to it goes.
    type: str
    choices: [present, stopped, absent]
    default: present
  port:
    description:
      - The TCP port of the API.
      - If it is not given, a new management plane takes V(8443), or the next free port, and keeps it from then on.
    type: int
  host:
    description:
      - The address that an V(embedded) server listens on.
      - If it is not given, a new one listens on V(127.0.0.1) only. V(0.0.0.0) stands for every address of the host.
    type: str
  advertise_addresses:
    description:
      - Names and addresses that clients reach an V(embedded) server by, besides the loopback address and the host's own name.
        The certificate of the server names them, and the first one is what kubeconfigs contain.
    type: list
    elements: str
  executable:
    description:
      - The program that makes the management plane, C(kplane-server), C(kind) or C(k3d).
      - If it is not given, it is looked for on E(PATH); C(kplane-server) also beside the Python interpreter of the task and in the user's
        installation (C(${XDG_DATA_HOME:-~/.local/share}/kplane-server/venv)).
    type: path
  namespace:
    description:
      - The namespace of the stack on V(kind), V(k3s) and V(kubeconfig).
      - If it is not given, it is the one that the kplane configuration file names, else V(kplane-system).
    type: str
  node_image:
    description:
      - The image of the nodes of a V(kind) or V(k3s) cluster.
      - If it is not given, it is the one that the kplane configuration file names, else the one that the program itself takes.
    type: str
  provider_config:
    description:
      - A configuration for C(kind) (C(kind.x-k8s.io/v1alpha4)) or C(k3d) (C(k3d.io), kind C(Simple)).
      - What the management plane needs is added to it. The port of its way in is always mapped to 127.0.0.1 only.
      - If it is not given, the file that the kplane configuration file names as C(configPath) of V(kind) is used, if it names one.
    type: dict
  registry_mirrors:
    description:
      - For the nodes of a V(kind) or V(k3s) cluster. Keys are registries (for example V(docker.io)), values lists of the addresses of
        mirrors that are asked before them. Used when a cluster is made.
    type: dict
  images:
    description: Images of the Docker daemon that are copied to the nodes of a V(kind) or V(k3s) cluster when it is made.
    type: list
    elements: str
  management_kubeconfig:
    description:
      - For the provider V(kubeconfig), a path to the kubeconfig of the cluster, or the kubeconfig itself as a mapping.
      - If it is not given, it is the one that the kplane configuration file remembers, else the user's own.
    type: raw
  management_context:
    description:
      - For the provider V(kubeconfig), the context of the cluster.
      - If it is not given, it is the one that the kplane configuration file remembers, else the current context.
    type: str
  require_executable:
    description:
      - If V(false) and the program that makes the management plane is not installed, the module ends without a failure and without
        doing anything, and RV(missing) says what is missing. The role P(kplane.core.management_plane#role) then installs it.
    type: bool
    default: true
  recreate:
    description:
      - What to do when the management plane is there but differs from what was declared in a way that it cannot take on while it runs.
      - V(never) leaves it as it is, warns, and returns the differences as RV(drift).
      - V(options-changed) makes it anew with what was declared.
      - V(always) makes it anew in each run.
      - An V(embedded) management plane is restarted for this and keeps its data. A C(kplane-server) that was installed in another version
        than the running one counts as such a difference, so V(options-changed) completes an upgrade. A V(kind) or V(k3s) cluster is deleted
        B(with all of its virtual control planes and their data) and made again. On V(kubeconfig) only V(never) is possible.
    type: str
    choices: [never, options-changed, always]
    default: never
  remember:
    description:
      - Whether the kplane configuration file remembers the provider and the name, so that later commands reach the same management
        plane. With O(state=absent) what was remembered is forgotten.
    type: bool
    default: true
  kubeconfig_entry:
    description:
      - Whether the user's kubeconfig gets a context for the management plane, as M(kplane.core.kplane_credentials) writes it. A cluster of
        the provider V(kubeconfig) has one already, which is not touched.
      - With O(state=absent), whether all contexts that this collection wrote for the management plane and its VCPs are taken out.
    type: bool
    default: false
  set_current:
    description: Whether the context that O(kubeconfig_entry) writes becomes the current one.
    type: bool
    default: false
  overwrite:
    description: Whether O(kubeconfig_entry) may replace a context of the same name that is not ours.
    type: bool
    default: false
  wait_timeout:
    description: How many seconds the management plane may take until its API answers.
    type: float
    default: 60
seealso:
  - module: kplane.core.kplane_management_plane_info
  - module: kplane.core.kplane_vcp
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Bring the management plane up
  kplane.core.kplane_management_plane:
    state: present

- name: Bring one up that other hosts can reach
  kplane.core.kplane_management_plane:
    provider: embedded
    cluster_name: team
    host: 0.0.0.0
    port: 9443
    advertise_addresses:
      - kplane.example.com
    recreate: options-changed

- name: Take it away with everything in it
  kplane.core.kplane_management_plane:
    state: absent
"""

RETURN = r"""
plane:
  description: The management plane, or none if there is none.
  returned: success
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
  contains:
    provider:
      description: The provider.
      returned: success
      type: str
    name:
      description: The name of the management plane.
      returned: success
      type: str
    context:
      description: The name of its kubeconfig context.
      returned: success
      type: str
    running:
      description: Whether its API answers.
      returned: success
      type: bool
    server:
      description: The address of its API.
      returned: success
      type: str
    host:
      description: The host in that address.
      returned: success
      type: str
    port:
      description: The port in that address.
      returned: success
      type: int
    version:
      description: The Kubernetes version of its API.
      returned: success
      type: str
    kubeconfig:
      description: The file with the administrator's credential.
      returned: success
      type: str
    data_dir:
      description: Where an V(embedded) management plane keeps its data.
      returned: success
      type: str
provider:
  description: The provider that was used.
  returned: success
  type: str
  sample: embedded
provider_reason:
  description: Why this provider was used.
  returned: success
  type: str
  sample: it was asked for
action:
  description: What was done, or would be done in check mode.
  returned: success
  type: str
  sample: created
  choices: [none, created, started, recreated, stopped, deleted]
drift:
  description: What was declared but is otherwise, and was left so because of O(recreate=never).
  returned: success
  type: list
  elements: dict
  sample:
    - option: port
      found: 8443
      declared: 9443
contexts:
  description: The contexts that were written to the kubeconfig, or taken out of it.
  returned: success
  type: list
  elements: str
  sample: [embedded-kplane-management]
missing:
  description: What has to be installed first; empty if nothing has to.
  returned: success
  type: str
  sample: ""
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import (
    _argspec,
    _config,
    _credentials,
    _io,
    _kubeconfig,
    _kubeconfig_files,
    _module,
    _plane,
    _yaml,
)
from ansible_collections.kplane.core.plugins.module_utils._contract import DEFAULT_CLUSTER_NAME
from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Drift, Options, Plane


class Plan(t.NamedTuple):
    """What has to be done."""

    action: str
    drift: tuple[Drift, ...] = ()


def plan(state: str, recreate: str, plane: Plane | None, drift: t.Sequence[Drift]) -> Plan:
    """Compare what is with what was asked for."""
    if state == "absent":
        return Plan("none" if plane is None else "deleted")
    if state == "stopped":
        return Plan("stopped" if plane is not None and plane.running else "none")
    if plane is None:
        return Plan("created")
    if recreate == "always" or (recreate == "options-changed" and drift):
        return Plan("recreated")
    # One that does not run takes its options on when it starts, all but its port: kubeconfigs name that.
    return Plan("none" if plane.running else "started", tuple(drift))


def act(action: str, chosen: _plane.Chosen, options: Options) -> Plane | None:
    """Do it."""
    driver = chosen.driver
    if action in ("created", "started"):
        return driver.create(options)
    if action == "recreated":
        return driver.recreate(options)
    if action == "deleted":
        driver.delete()
        return None
    if action == "stopped":
        driver.stop()
    return driver.find()


def _remembered(chosen: _plane.Chosen, plane: Plane) -> _config.Document:
    """The fields of the profile that lead back to ``plane``; only the ones that differ from what they would be anyway."""
    fields: _config.Document = {"provider": plane.provider}
    if plane.name != DEFAULT_CLUSTER_NAME or "clusterName" in chosen.profile.said:
        fields["clusterName"] = plane.name
    section = chosen.driver.remembered(plane)
    if section or plane.provider in chosen.profile.said:
        fields[plane.provider] = section
    return fields


def update_config(module: AnsibleModule, chosen: _plane.Chosen, plane: Plane | None) -> bool:
    """Let the configuration file remember the management plane, or forget it if there is none any more."""
    profile = chosen.profile.name
    if plane is not None:
        fields = _remembered(chosen, plane)
        before, after = chosen.config.change(lambda document: _config.remember(document, profile, fields), dry_run=module.check_mode)
        return before != after
    changed = False
    if chosen.profile.cluster_name == chosen.driver.name:
        before, after = chosen.config.change(lambda document: _config.forget(document, profile), dry_run=module.check_mode)
        changed = before != after
    if not module.check_mode:
        chosen.config.tidy()
    return changed


def update_kubeconfig(module: AnsibleModule, chosen: _plane.Chosen, plane: Plane | None) -> list[str]:
    """Write the context of the management plane, or take out all that belongs to it; the contexts that changed."""
    params = module.params
    files = _kubeconfig_files.KubeconfigFiles(_plane.kubeconfig_paths(params))
    if params["state"] == "present":
        if not chosen.driver.writes_context:
            return []
        if plane is None:
            return [chosen.driver.context]  # check mode, before the management plane is there
        entries = _credentials.plane_entries(chosen.driver)
        module.no_log_values.update(_kubeconfig.secrets(entries.user))
        if not params["overwrite"]:
            _credentials.require_ours(files.read(), [entries])
        before, after = files.change(lambda now: _put(now, entries, params["set_current"]), dry_run=module.check_mode)
        return [entries.name] if _kubeconfig_files.altered(before, after) else []
    owned = files.read().owned(chosen.driver.context)
    files.change(lambda now: _remove(now, owned), dry_run=module.check_mode)
    return owned


def _put(now: _kubeconfig_files.Snapshot, entries: _kubeconfig.EntrySet, current: bool) -> _kubeconfig_files.Snapshot:
    now = now.put(entries)
    return now.set_current(entries.name) if current else now


def _remove(now: _kubeconfig_files.Snapshot, names: t.Sequence[str]) -> _kubeconfig_files.Snapshot:
    for name in names:
        now = now.remove(name)
    return now


def _options(params: _plane.Params, chosen: _plane.Chosen) -> Options:
    """What was declared: by the options, then by the kplane configuration file."""
    said = chosen.profile.section(chosen.driver.provider) if chosen.driver.name == chosen.profile.cluster_name else {}
    config = params["provider_config"]
    path = str(said.get("configPath") or "")
    if config is None and path:
        content = _io.read_bytes(_io.expand(path))
        if content is None:
            raise ProviderError(f"{chosen.config.path} names {path} as configuration of {chosen.driver.provider}, which does not exist")
        config = _yaml.load(content, path)
    return Options(
        port=params["port"] or said.get("ingressPort") or None,
        host=params["host"],
        advertise_addresses=tuple(params["advertise_addresses"] or ()),
        wait_timeout=params["wait_timeout"],
        node_image=params["node_image"] or said.get("nodeImage") or said.get("image") or None,
        provider_config=config,
        registry_mirrors=_mirrors(params["registry_mirrors"]),
        images=tuple(params["images"] or ()),
    )


def _mirrors(declared: t.Mapping[str, t.Any] | None) -> dict[str, list[str]]:
    found = {}
    for registry, hosts in (declared or {}).items():
        addresses = [hosts] if isinstance(hosts, str) else hosts
        if not isinstance(addresses, list) or not all(str(entry).startswith(("http://", "https://")) for entry in addresses):
            raise ProviderError(f"registry_mirrors: the mirrors of {registry} have to be a list of http or https addresses")
        found[str(registry)] = [str(entry) for entry in addresses]
    return found


def work(module: AnsibleModule) -> _module.Result:
    """Compare, act, remember."""
    params = module.params
    state = params["state"]
    chosen = _plane.choose(params)
    options = _options(params, chosen)
    try:
        found = chosen.driver.find()
    except ProviderMissing as exc:
        if state != "present" or params["require_executable"] or module.check_mode:
            raise
        return {
            "changed": False,
            "plane": None,
            "provider": chosen.driver.provider,
            "provider_reason": chosen.reason,
            "action": "none",
            "drift": [],
            "contexts": [],
            "missing": exc.message,
        }
    drift = chosen.driver.drift(found, options) if found is not None and state == "present" else []
    todo = plan(state, params["recreate"], found, drift)
    missing = chosen.driver.missing() if todo.action not in ("none", "deleted") else ""
    result: _module.Result = {
        "changed": todo.action != "none",
        "plane": found.summary() if found else None,
        "provider": chosen.driver.provider,
        "provider_reason": chosen.reason,
        "action": todo.action,
        "drift": [entry._asdict() for entry in todo.drift],
        "contexts": [],
        "missing": missing,
    }
    if missing and not params["require_executable"] and not module.check_mode:
        return {**result, "changed": False, "action": "none"}
    after = found
    if not module.check_mode:
        after = act(todo.action, chosen, options) if todo.action != "none" else found
        result["plane"] = after.summary() if after else None
    if params["kubeconfig_entry"] and state != "stopped":
        result["contexts"] = update_kubeconfig(module, chosen, after if state == "present" else None)
        result["changed"] |= bool(result["contexts"])
    if params["remember"] and state != "stopped":
        expected = after or Plane(chosen.driver.provider, chosen.driver.name, chosen.driver.context, True)
        result["changed"] |= update_config(module, chosen, None if state == "absent" else expected)
    for entry in todo.drift:
        module.warn(
            f"The management plane {chosen.driver.name} was left as it is: {entry.text()}. Set recreate to options-changed to change it."
        )
    return _module.with_diff(module, result, _difference(todo.action, found, after, options, chosen))


def _difference(action: str, before: Plane | None, after: Plane | None, options: Options, chosen: _plane.Chosen) -> _module.Result:
    if action == "none":
        return {}
    expected: _module.Result = {}
    if action != "deleted":
        expected = after.summary() if after else {"provider": chosen.driver.provider, "name": chosen.driver.name}
        expected["running"] = action != "stopped"
        expected.update({key: value for key, value in (("port", options.port), ("host", options.host)) if value is not None})
    return {"before": before.summary() if before else {}, "after": expected}


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "state": {"type": "str", "choices": ["present", "stopped", "absent"], "default": "present"},
        "port": {"type": "int"},
        "host": {"type": "str"},
        "advertise_addresses": {"type": "list", "elements": "str"},
        "executable": {"type": "path"},
        "namespace": {"type": "str"},
        "node_image": {"type": "str"},
        "provider_config": {"type": "dict"},
        "registry_mirrors": {"type": "dict"},
        "images": {"type": "list", "elements": "str"},
        "management_kubeconfig": _argspec.CONNECTION["management_kubeconfig"],
        "management_context": _argspec.CONNECTION["management_context"],
        "require_executable": {"type": "bool", "default": True},
        "recreate": {"type": "str", "choices": ["never", "options-changed", "always"], "default": "never"},
        "remember": {"type": "bool", "default": True},
        "kubeconfig_entry": {"type": "bool", "default": False},
        "kubeconfig": {"type": "path"},
        "set_current": {"type": "bool", "default": False},
        "overwrite": {"type": "bool", "default": False},
        "wait_timeout": {"type": "float", "default": 60.0},
        **_argspec.PLANE,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
