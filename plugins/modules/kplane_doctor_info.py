#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_doctor_info
short_description: Say what is missing for each provider, and how to get it
description:
  - Looks for what each provider of management planes needs on the host, and at the management plane that is configured.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane
  - kplane.core._attributes.info_module
  - kplane.core._plane
options:
  executable:
    description: The C(kplane-server) to look at, if it is not to be looked for.
    type: path
seealso:
  - module: kplane.core.kplane_management_plane_info
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Look what is missing
  kplane.core.kplane_doctor_info:
  register: doctor

- name: Say it
  ansible.builtin.debug:
    msg: "{{ doctor.report }}"
"""

RETURN = r"""
providers:
  description: For each provider, whether the host is ready for it, and what it needs.
  returned: always
  type: dict
  sample:
    embedded:
      ready: true
      requirements:
        - name: kplane-server
          found: true
          detail: /usr/local/bin/kplane-server
          hint: ""
          required: true
chosen:
  description: The provider that would be used; empty if the one that was asked for cannot be.
  returned: always
  type: str
  sample: embedded
reason:
  description: Why.
  returned: always
  type: str
plane:
  description: The management plane, or none.
  returned: always
  type: dict
healthy:
  description: Whether the chosen provider is ready.
  returned: always
  type: bool
report:
  description: All of this for people, line by line.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _module, _plane
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._providers.drivers import PROVIDERS
from ansible_collections.kplane.core.plugins.module_utils._providers.requirements import Requirement, requirements


def ready(needed: t.Sequence[Requirement]) -> bool:
    """Whether all that is required is there."""
    return all(entry.found for entry in needed if entry.required)


def provider_lines(name: str, needed: t.Sequence[Requirement]) -> list[str]:
    """One provider, for people."""
    state = "ready" if ready(needed) else "something is missing"
    lines = [f"{name}: {state}"]
    for entry in needed:
        lines.append(f"  {'ok' if entry.found else 'missing' if entry.required else 'optional'}: {entry.name} ({entry.detail})")
        if not entry.found:
            lines.append(f"    {entry.hint}")
    return lines


def plane_lines(plane: t.Any) -> list[str]:
    """The management plane, for people."""
    if plane is None:
        return ["management plane: there is none yet; the playbook kplane.core.up makes one"]
    return [f"management plane: {plane.context} {'answers' if plane.running else 'does not answer'} at {plane.server}"]


def work(module: AnsibleModule) -> _module.Result:
    """Look at everything; a problem is a line of the report, not a failure."""
    needed = requirements(module.params["executable"])
    lines = [line for name in PROVIDERS for line in provider_lines(name, needed[name])]
    chosen, plane = "", None
    try:
        choice = _plane.choose(module.params)
        chosen, reason = choice.driver.provider, choice.reason
        lines.append(f"chosen: {chosen}, because {reason}")
        plane = choice.driver.find()
        lines += plane_lines(plane)
    except KplaneError as exc:
        reason = exc.message
        lines.append(f"problem: {reason}")
    return {
        "changed": False,
        "providers": {
            name: {"ready": ready(entries), "requirements": [entry.summary() for entry in entries]}
            for name, entries in needed.items()
        },
        "chosen": chosen,
        "reason": reason,
        "plane": plane.summary() if plane else None,
        "healthy": bool(chosen) and ready(needed[chosen]),
        "report": lines,
    }


def main() -> None:
    spec: _argspec.ArgumentSpec = {"executable": {"type": "path"}, **_argspec.PLANE}
    _module.run(AnsibleModule(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
