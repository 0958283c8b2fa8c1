#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_config_info
short_description: Read the kplane configuration file
description:
  - Reads a profile of the kplane configuration file, with the defaults of what it does not say.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.info_module
  - kplane.core._plane.config_path
options:
  profile:
    description: The profile to read. If it is not given, it is the current one.
    type: str
seealso:
  - module: kplane.core.kplane_config
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Read the configuration
  kplane.core.kplane_config_info:
  register: kplane
"""

RETURN = r"""
exists:
  description: Whether the file is there.
  returned: always
  type: bool
config:
  description: The profile, with defaults.
  returned: always
  type: dict
profile:
  description: The name of the profile.
  returned: always
  type: str
profiles:
  description: The names of all profiles.
  returned: always
  type: list
  elements: str
path:
  description: The file.
  returned: always
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _config, _module


def work(module: AnsibleModule) -> _module.Result:
    """Read."""
    config = _config.ConfigFile(module.params["config_path"])
    profile = config.profile(module.params["profile"])
    return {
        "changed": False,
        "exists": os.path.exists(config.path),
        "config": profile.values,
        "profile": profile.name,
        "profiles": list(config.read()["profiles"]),
        "path": config.path,
    }


def main() -> None:
    spec = {"config_path": {"type": "path"}, "profile": {"type": "str"}}
    _module.run(AnsibleModule(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
