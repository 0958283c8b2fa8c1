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
  - Says of the tools C(kind), C(k3d) and C(kubectl) where they are, which version they have, and whether the role
    P(kplane.core.prerequisites#role) put them there.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane
  - kplane.core._attributes.info_module
  - kplane.core._plane
options:
  executable:
    description: The C(kplane-server) to look at, if it is not to be looked for.
    type: path
  tools:
    description:
      - The releases of C(kind), C(k3d) and C(kubectl) that are wanted, by tool.
      - Each is a mapping with C(version) and C(checksums), which has the SHA-256 checksum of the program for each platform, for example
        C(linux-amd64). Other keys are ignored.
      - The playbook C(kplane.core.doctor) takes them from the role P(kplane.core.prerequisites#role).
    type: dict
  tools_directory:
    description: The directory that the role P(kplane.core.prerequisites#role) installs into.
    type: path
    default: ~/.local/bin
  tool_executables:
    description: Programs of the user's own, by tool, to look at instead of those that would be found.
    type: dict
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
tools:
  description: What there is of each tool.
  returned: always
  type: dict
  sample:
    kind:
      path: /home/me/.local/bin/kind
      version: 0.30.0
      minimum: 0.20.0
      recent_enough: true
      problem: ""
      obstacle: ""
      pinned: true
      pinned_version: 0.30.0
      checksum: 517ab7fc89ddeed5fa65abf71530d90648d9638ef0c4cde22c2c11f8097b8889
      installed_by_role: true
      receipt:
        path: /home/me/.local/share/kplane-tools/kind.json
        executable: /home/me/.local/bin/kind
        installed:
          - path: /home/me/.local/bin/kind
            version: 0.30.0
            sha256: 517ab7fc89ddeed5fa65abf71530d90648d9638ef0c4cde22c2c11f8097b8889
      noted: true
      owned:
        - /home/me/.local/bin/kind
      target:
        path: /home/me/.local/bin/kind
        on_path: true
        state: pinned
        version: 0.30.0
platform:
  description: The system and the architecture of the host, as the checksums of O(tools) name them.
  returned: always
  type: str
  sample: linux-amd64
needed:
  description: What a management plane of the chosen provider lacks on this host, by name.
  returned: always
  type: list
  elements: str
  sample: [docker]
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
from ansible_collections.kplane.core.plugins.module_utils._providers import receipts, tools
from ansible_collections.kplane.core.plugins.module_utils._providers.drivers import PROVIDERS
from ansible_collections.kplane.core.plugins.module_utils._providers.requirements import Requirement, requirements


def ready(needed: t.Sequence[Requirement]) -> bool:
    """Whether all that is required is there."""
    return all(entry.found for entry in needed if entry.required)


def provider_lines(name: str, needed: t.Sequence[Requirement]) -> list[str]:
    """One provider, for people."""
    lines = [f"{name}: {'ready' if ready(needed) else 'something is missing'}"]
    for entry in needed:
        lines.append(f"  {'ok' if entry.found else 'missing' if entry.required else 'optional'}: {entry.name} ({entry.detail})")
        if not entry.found:
            lines.append(f"    {entry.hint}")
    return lines


def lacking(needed: t.Sequence[Requirement]) -> list[str]:
    """The names of what is required and not there."""
    return [entry.name for entry in needed if entry.required and not entry.found]


def chosen_lines(provider: str, reason: str, needed: t.Sequence[Requirement]) -> list[str]:
    """The provider that up would take, and what it would need."""
    missing = lacking(needed)
    return [
        f"chosen: {provider}, because {reason}",
        f"up would need: {', '.join(missing)}" if missing else "up would need: nothing that is not there",
    ]


def plane_lines(plane: t.Any) -> list[str]:
    """The management plane, for people."""
    if plane is None:
        return ["management plane: there is none yet; the playbook kplane.core.up makes one"]
    return [f"management plane: {plane.context} {'answers' if plane.running else 'does not answer'} at {plane.server}"]


def work(module: AnsibleModule) -> _module.Result:
    """Look at everything; a problem is a line of the report, not a failure."""
    params = module.params
    pins = tools.read_pins(params["tools"])
    given = _executables(params["tool_executables"])
    found = {name: tools.look(name, pins.get(name), params["tools_directory"], given.get(name)) for name in receipts.NAMES}
    needed = requirements(params["executable"])
    lines = [line for name in PROVIDERS for line in provider_lines(name, needed[name])]
    lines += [f"tools on {receipts.platform()}:", *(f"  {tools.line(name, about)}" for name, about in found.items())]
    chosen, plane = "", None
    try:
        choice = _plane.choose(params)
        chosen, reason = choice.driver.provider, choice.reason
        lines += chosen_lines(chosen, reason, needed[chosen])
        plane = choice.driver.find()
        lines += plane_lines(plane)
    except KplaneError as exc:
        reason = exc.message
        lines.append(f"problem: {reason}")
    return {
        "changed": False,
        "providers": {
            name: {"ready": ready(entries), "requirements": [entry.summary() for entry in entries]} for name, entries in needed.items()
        },
        "tools": found,
        "platform": receipts.platform(),
        "needed": lacking(needed[chosen]) if chosen else [],
        "chosen": chosen,
        "reason": reason,
        "plane": plane.summary() if plane else None,
        "healthy": bool(chosen) and ready(needed[chosen]),
        "report": lines,
    }


def _executables(given: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    found = {}
    for name, path in (given or {}).items():
        if name not in receipts.NAMES:
            raise KplaneError(f"tool_executables.{name}: there is no such tool; known are {', '.join(receipts.NAMES)}")
        if not isinstance(path, str) or not path:
            raise KplaneError(f"tool_executables.{name} has to be the path of a program, not {path!r}")
        found[name] = path
    return found


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "executable": {"type": "path"},
        "tools": {"type": "dict"},
        "tools_directory": {"type": "path", "default": receipts.DEFAULT_DIRECTORY},
        "tool_executables": {"type": "dict"},
        **_argspec.PLANE,
    }
    _module.run(AnsibleModule(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
