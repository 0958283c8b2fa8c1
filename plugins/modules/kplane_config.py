#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_config
short_description: Manage the kplane configuration file and the current context
description:
  - Sets fields of a profile in the kplane configuration file (kind C(KplaneConfig)), which the C(kplane) command line reads too.
  - Sets the current context of the user's kubeconfig.
  - Only what is given is changed; fields that this collection does not know stay.
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._plane.config_path
  - kplane.core._kubeconfig
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  profile:
    description: The profile to change. If it is not given, it is the current one.
    type: str
  use_profile:
    description: Whether O(profile) becomes the current one.
    type: bool
    default: false
  provider:
    description:
      - The provider that V(auto) stands for from now on.
      - V(auto) takes the choice out of the file again.
    type: str
    choices: [auto, embedded, kind, k3s, kubeconfig, k3d]
  cluster_name:
    description: The name of the management plane.
    type: str
  namespace:
    description: The namespace of the management plane's own objects.
    type: str
  kubeconfig_path:
    description: The kubeconfig that credentials are written to, if E(KUBECONFIG) is not set.
    type: str
  settings:
    description:
      - Any other fields of the profile, merged into it. A value of V(none) takes a field away.
    type: dict
  current_context:
    description:
      - The context of the user's kubeconfig that becomes the current one.
      - The name of a context, or the name of a VCP that has one (V(demo) for C(kplane-demo)). If both exist, the context of exactly
        this name is taken.
    type: str
seealso:
  - module: kplane.core.kplane_config_info
  - module: kplane.core.kplane_credentials
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Use the embedded management plane from now on
  kplane.core.kplane_config:
    provider: embedded

- name: Let kubectl talk to the virtual control plane demo
  kplane.core.kplane_config:
    current_context: demo
"""

RETURN = r"""
config:
  description: The profile afterwards, with the defaults of what it does not say.
  returned: success
  type: dict
  sample:
    provider: embedded
    clusterName: kplane-management
    namespace: kplane-system
profile:
  description: The name of the profile.
  returned: success
  type: str
  sample: default
path:
  description: The configuration file.
  returned: success
  type: str
  sample: /home/jo/.config/kplane/config.yaml
current_context:
  description: The current context of the kubeconfig afterwards.
  returned: when O(current_context) is given
  type: str
  sample: kplane-demo
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _config, _contract, _kubeconfig_files, _module, _plane
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._providers import registry

_FIELDS: t.Final = {"cluster_name": "clusterName", "namespace": "namespace", "kubeconfig_path": "kubeconfigPath"}


def fields(params: t.Mapping[str, t.Any]) -> _config.Document:
    """The fields of the profile that were given, as the file spells them."""
    found: _config.Document = dict(params["settings"] or {})
    found.update({field: params[option] for option, field in _FIELDS.items() if params[option] is not None})
    if params["cluster_name"] is not None:
        problem = _contract.cluster_name_problem(params["cluster_name"])
        if problem:
            raise KplaneError(problem)
    if params["provider"] == registry.AUTO:
        found["provider"] = None
    elif params["provider"] is not None:
        found["provider"] = registry.require_provider(params["provider"], "asked for")
    return found


def changed_document(document: _config.Document, params: t.Mapping[str, t.Any], wanted: _config.Document) -> _config.Document:
    """The configuration as it was asked for."""
    profile = params["profile"] or str(document.get("currentProfile") or _config.DEFAULT_PROFILE)
    document = _config.with_profile(document, profile, wanted)
    # What somebody set on purpose is not forgotten with the management plane.
    said = document["profiles"].get(profile) or {}
    noted = said.get(_config.REMEMBERED) or []
    kept = [key for key in noted if key not in wanted]
    if kept != noted:
        document = _config.with_profile(document, profile, {_config.REMEMBERED: kept or None})
    if params["use_profile"] and params["profile"]:
        document = {**document, "currentProfile": params["profile"]}
    return document


def find_context(snapshot: _kubeconfig_files.Snapshot, name: str) -> str:
    """The context that a person means by ``name``."""
    contexts = snapshot.contexts()
    for candidate in (name, _contract.vcp_context(name)):
        if candidate in contexts:
            return candidate
    raise KplaneError(
        f"There is no context {name!r} and no context {_contract.vcp_context(name)!r} in {', '.join(snapshot.paths)}; "
        f"there are: {', '.join(contexts) or 'none'}. The playbook kplane.core.get_credentials writes one."
    )


def _work_context(module: AnsibleModule, result: _module.Result, diff: _module.Result) -> None:
    files = _kubeconfig_files.KubeconfigFiles(_plane.kubeconfig_paths(module.params))
    wanted = find_context(files.read(), module.params["current_context"])
    before, after = files.change(lambda snapshot: snapshot.set_current(wanted), dry_run=module.check_mode)
    result["current_context"] = after.current_context()
    if before.current_context() != after.current_context():
        result["changed"] = True
        diff["before"]["current_context"], diff["after"]["current_context"] = before.current_context(), after.current_context()


def work(module: AnsibleModule) -> _module.Result:
    """Compare, write, report."""
    params = module.params
    config = _config.ConfigFile(params["config_path"])
    wanted = fields(params)
    before, after = config.change(lambda document: changed_document(document, params, wanted), dry_run=module.check_mode)
    name = params["profile"] or str(after.get("currentProfile") or _config.DEFAULT_PROFILE)
    profile = _config.Profile(name, after["profiles"].get(name) or {})
    result: _module.Result = {"changed": before != after, "config": profile.values, "profile": name, "path": config.path}
    diff: _module.Result = {"before": {}, "after": {}}
    if before != after:
        diff = {"before": {"config": before}, "after": {"config": after}}
    if params["current_context"] is not None:
        _work_context(module, result, diff)
    return _module.with_diff(module, result, diff)


def main() -> None:
    spec: dict[str, t.Any] = {
        "config_path": {"type": "path"},
        "profile": {"type": "str"},
        "use_profile": {"type": "bool", "default": False},
        "provider": {"type": "str", "choices": list(registry.CHOICES)},
        "cluster_name": {"type": "str"},
        "namespace": {"type": "str"},
        "kubeconfig_path": {"type": "str"},
        "settings": {"type": "dict"},
        "current_context": {"type": "str"},
        "kubeconfig": {"type": "path"},
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
