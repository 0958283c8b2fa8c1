# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the hosts of a fleet, templated: what Ansible knows of them becomes what they declare.

Ansible puts the variables of a host together anew whenever it is asked, and an environment of Jinja costs as much again, so each host is
asked once, and all of them share one environment.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.template import Templar, trust_as_template

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_seed, _fleet_spec

_VARIES: t.Final = object()
_NAMES: t.Final = (*_fleet_spec.VCP_VARIABLES, *_fleet_spec.PLANE_VARIABLES)


class Hosts:
    """Reads what hosts declare, one after the other."""

    def __init__(self, templar: Templar, hostvars: t.Any, fleet: str) -> None:
        self._templar = templar
        self._plain = templar.copy_with_new_env(available_variables={})
        #: By the directory of a template file, from which it includes others.
        self._of_files: dict[str, Templar] = {}
        #: By identity, because the hosts of a group share what the group declares: a variable, and what it says for every host.
        self._values: dict[int, tuple[t.Any, t.Any]] = {}
        self._hostvars = hostvars
        self._fleet = fleet
        self._sources = _fleet_seed.Sources()

    def read(self, host: str) -> tuple[dict[str, t.Any], _fleet_spec.Wanted]:
        """The options of the management plane of a host, and the VCP that it declares there."""
        raw = self._hostvars.raw_get(host)
        if _fleet_spec.FOUND_VARIABLE in raw:
            raise KplaneError("it comes from the dynamic inventory kplane.core.kplane, which says what is there and not what shall be")
        self._plain.available_variables = raw
        try:
            found = {name: self._value(raw[name]) for name in _NAMES if name in raw}
        except AnsibleError as exc:
            raise KplaneError(str(exc)) from exc
        seed = None
        base = str(raw.get("inventory_dir") or os.getcwd())
        if "kplane_manifests" in found:
            seed = self._sources.documents(found["kplane_manifests"], lambda content, path: self._render(raw, content, path), base)
        return _fleet_spec.plane_options(found), _fleet_spec.wanted(host, found, self._fleet, seed, base)

    def _value(self, declared: t.Any) -> t.Any:
        """What a variable says for the host of this turn. Without a template in it, that is what it said for the host before."""
        known = self._values.get(id(declared))
        if known is not None and known[0] is declared:
            return self._plain.template(declared) if known[1] is _VARIES else known[1]
        value = self._plain.template(declared)
        self._values[id(declared)] = (declared, _VARIES if self._plain.is_template(declared) else value)
        return value

    def _render(self, raw: dict[str, t.Any], content: str, path: str) -> str:
        folder = os.path.dirname(path)
        templar = self._of_files.get(folder)
        if templar is None:
            templar = self._of_files[folder] = self._templar.copy_with_new_env(available_variables={}, searchpath=[folder])
        templar.available_variables = raw
        try:
            return str(templar.template(trust_as_template(content)))
        except AnsibleError as exc:
            raise KplaneError(f"the template {path}: {exc}") from exc
