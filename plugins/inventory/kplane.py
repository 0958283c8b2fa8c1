# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory kplane.core.kplane: a host for every VCP of any number of management planes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kplane
short_description: Virtual control planes as hosts
description:
  - Makes a host of every virtual control plane (VCP) of one or many management planes. Its configuration file has a name that ends with
    C(.kplane.yml) or C(.kplane.yaml).
  - The modules of C(kubernetes.core) and C(kplane.core), C(kubectl) and C(helm) work on each host with nothing else set, because tasks run
    on the controller by the connection P(kplane.core.vcp#connection). A credential is taken when a task of a host needs it.
  - All hosts are in the group C(kplane_vcps). There are groups for the management plane (C(kplane_plane_NAME)), the class
    (C(kplane_class_NAME)), the state (C(kplane_ready), C(kplane_not_ready), C(kplane_paused)) and labels (C(kplane_label_KEY_VALUE)).
    Characters that the name of a group cannot have are replaced by C(_).
  - Every host has the variables C(kplane_name), C(kplane_host) (the URL of its API), C(kplane_context), C(kplane_kubeconfig) (the path of
    a kubeconfig, made by P(kplane.core.kubeconfig#lookup) when it is used) and C(kplane_vcp), which is a mapping with C(name), C(class),
    C(ready), C(reason), C(message), C(paused), C(deleting), C(labels), C(annotations), C(deletion_policy), C(endpoint), C(context), C(uid)
    and C(created). Its plane gives it C(kplane_plane), C(kplane_ca_certificate), C(kplane_management_kubeconfig) and
    C(kplane_management_context).
  - What comes from a management plane is never taken for a template.
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [kplane.core.kplane, kplane]
  planes:
    description: The management planes. Without any, it is the one that the kplane configuration file and this machine lead to.
    type: list
    elements: dict
    default: [{}]
    suboptions:
      name:
        description: What the management plane is called here. If it is not given, it is the name of its context.
        type: str
      kubeconfig:
        description: The path of a kubeconfig that leads to it. Relative paths start at the directory of this file.
        type: path
      context:
        description: The context of that kubeconfig, or of the user's own kubeconfig files.
        type: str
      provider:
        description: Its provider, if there is no kubeconfig.
        type: str
      cluster_name:
        description: Its name, if there is no kubeconfig.
        type: str
      data_dir:
        description: The data directory of an V(embedded) management plane.
        type: path
  label_selector:
    description: Only VCPs with these labels, as C(kubectl) takes them. The management planes select.
    type: str
    default: ""
  names:
    description: Only VCPs whose names match one of these patterns. They are globs, or regular expressions after a C(~).
    type: list
    elements: str
    default: []
  hostnames:
    description: How hosts are called. V(name) is the name of the VCP, V(qualified) is C(NAME.PLANE), and V(auto) is V(qualified) if there
      are several management planes.
    type: str
    choices: [auto, name, qualified]
    default: auto
  label_groups:
    description: The keys of the labels that become groups. If it is not given, it is all of them.
    type: list
    elements: str
  request_timeout:
    description: How many seconds one request to an API server may take.
    type: float
    default: 30.0
seealso:
  - module: kplane.core.kplane_fleet
  - plugin: kplane.core.kubeconfig
    plugin_type: lookup
  - plugin: kplane.core.vcp
    plugin_type: connection
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
# The management plane of this machine: my.kplane.yml
---
plugin: kplane.core.kplane

# Two management planes, only what a team has
---
plugin: kplane.core.kplane
planes:
  - name: lab
    kubeconfig: ~/.kube/config
    context: kind-kplane-management
  - name: ci
    kubeconfig: ci.kubeconfig
label_selector: team=blue
names: ["blue-*", "~^ci-[0-9]+$"]
keyed_groups:
  - key: kplane_vcp.labels.tier
    prefix: tier
compose:
  kplane_age_days: ((now(utc=true).timestamp() - (kplane_vcp.created | to_datetime('%Y-%m-%dT%H:%M:%SZ')).timestamp()) / 86400) | int
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/kplane
"""

import contextlib
import gc
import os
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template

from ansible_collections.kplane.core.plugins.module_utils._client import Json
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _inventory
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import FOUND_VARIABLE, GROUP

_SUFFIXES = (".kplane.yml", ".kplane.yaml")
#: The same for every host, so they belong to the group.
_COMMON: t.Final[dict[str, str]] = {
    "ansible_connection": "kplane.core.vcp",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    "kplane_kubeconfig": "{{ lookup('kplane.core.kubeconfig', kplane_name, file=true) }}",
}
_OPTIONS: t.Final = {
    "name": "name",
    "kubeconfig": "management_kubeconfig",
    "context": "management_context",
    "provider": "provider",
    "cluster_name": "cluster_name",
    "data_dir": "data_dir",
}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """What Ansible loads."""

    NAME = "kplane.core.kplane"
    inventory: t.Any

    def _option(self, name: str) -> t.Any:
        return t.cast(t.Callable[[str], t.Any], self.get_option)(name)

    def verify_file(self, path: str) -> bool:
        return path.endswith(_SUFFIXES) and bool(super().verify_file(path))  # type: ignore[no-untyped-call]

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)  # type: ignore[no-untyped-call]
        try:
            with _no_garbage_collection():
                self.populate(self._found(path, cache))
        except KplaneError as exc:
            raise AnsibleParserError(f"{path}: {exc.message}") from exc

    # Fetching

    def _found(self, path: str, cache: bool) -> list[_inventory.Found]:
        """What the management planes hold, from the cache if that is wanted and has it."""
        wanted = cache and self._option("cache")
        key = self.get_cache_key(path)
        if wanted:
            try:
                return [_inventory.Found(*entry) for entry in self._cache[key]]
            except KeyError:
                pass
        found = self.fetch(os.path.dirname(os.path.abspath(path)))
        if self._option("cache"):
            self._cache[key] = [list(entry) for entry in found]
        return found

    def fetch(self, base: str) -> list[_inventory.Found]:
        """Ask every management plane, all at the same time."""
        planes = [self._options_of(plane, base) for plane in self._option("planes") or [{}]]
        selector = self._option("label_selector")
        found: list[_inventory.Found] = []
        for outcome in run_all(lambda options: _inventory.fetch(options, selector), planes):
            if isinstance(outcome, KplaneError):
                raise outcome
            found.append(outcome)
        names = [entry.name for entry in found]
        if len(set(names)) != len(names):
            raise KplaneError(f"Several management planes have the same name: {', '.join(names)}. Give each a name of its own.")
        return found

    def _options_of(self, plane: t.Any, base: str) -> dict[str, t.Any]:
        if not isinstance(plane, dict) or not set(plane) <= set(_OPTIONS):
            raise KplaneError(f"An entry of planes is not a mapping with some of {', '.join(_OPTIONS)}")
        options: dict[str, t.Any] = {_OPTIONS[key]: value for key, value in plane.items() if value is not None}
        for key in ("management_kubeconfig", "data_dir"):
            if key in options:
                options[key] = os.path.join(base, os.path.expanduser(str(options[key])))
        return {**options, "request_timeout": self._option("request_timeout")}

    # Populating

    def populate(self, found: t.Sequence[_inventory.Found]) -> None:
        """Hosts and groups from what was found."""
        matches = _inventory.name_filter(self._option("names") or [])
        planes = [(entry.name, [vcp for vcp in entry.vcps if matches(str(vcp["name"]))]) for entry in found]
        names = _inventory.host_names(planes, self._option("hostnames"))
        self.inventory.add_group(GROUP)
        for key, value in _COMMON.items():
            self.inventory.set_variable(GROUP, key, trust_as_template(value))
        self._made: set[str] = {GROUP}
        keys = self._option("label_groups")
        self._label_keys = None if keys is None else frozenset(keys)
        constructors: tuple[tuple[str, t.Callable[..., None]], ...] = (
            ("compose", self._set_composite_vars),
            ("groups", self._add_host_to_composed_groups),
            ("keyed_groups", self._add_host_to_keyed_groups),
        )
        strict = self._option("strict")
        self._constructors = [(construct, self._option(name), strict) for name, construct in constructors if self._option(name)]
        for entry, (plane, vcps), hosts in zip(found, planes, names):
            group = self._group(f"kplane_plane_{_inventory.group_part(plane)}")
            for key, value in {**entry.variables, "kplane_plane": plane, "kplane_ca_certificate": entry.ca_certificate}.items():
                self.inventory.set_variable(group, key, value)
            for vcp, host in zip(vcps, hosts):
                self._add(host, vcp, plane)

    def _group(self, name: str) -> str:
        if name not in self._made:
            self.inventory.add_group(name)
            self._made.add(name)
        return name

    def _add(self, name: str, vcp: Json, plane: str) -> None:
        self.inventory.add_host(name, group=GROUP)
        host = self.inventory.get_host(name)
        variables = {"kplane_name": vcp["name"], "kplane_host": vcp["endpoint"], "kplane_context": vcp["context"], FOUND_VARIABLE: vcp}
        for key, value in variables.items():
            # Set on the host itself: text that Ansible has not been told to trust is never a template.
            host.set_variable(key, value)
        for group in _inventory.groups_of(vcp, plane, self._label_keys):
            self.inventory.add_child(self._group(group), name)
        for construct, value, strict in self._constructors:
            construct(value, {**variables, "inventory_hostname": name, "kplane_plane": plane}, name, strict=strict)


@contextlib.contextmanager
def _no_garbage_collection() -> t.Iterator[None]:
    """Ten thousand hosts are a million objects, no garbage: to look through them again and again takes longer than to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
