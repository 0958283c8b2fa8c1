#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_stack
short_description: Apply the kplane stack to the cluster of a management plane
description:
  - Brings etcd, the shared API server, the operator and all that belongs to them into the cluster of a management plane, given as
    rendered manifests. The role P(kplane.core.management_plane#role) renders them.
  - Objects are applied server-side with the field manager C(kplane.core) and strict validation, in order. Definitions are established
    before their objects, and etcd, the API server and the operator each serve before the next one is touched. Objects that earlier runs
    applied and that are no longer declared are deleted.
  - Certificates, keys and the administrator's token are made once, kept in Secrets of the cluster, and renewed before they end. Pods that
    mount them are rolled when they change.
  - The versions that are applied are remembered in the cluster. A run that was interrupted is completed by the next one.
requirements:
  - cryptography >= 42
extends_documentation_fragment:
  - kplane.core._attributes
  - kplane.core._attributes.actiongroup_kplane_api
  - kplane.core._plane
  - kplane.core._connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - What became of each object is in RV(objects).
  idempotent:
    support: partial
    details:
      - Not with O(rotate).
options:
  manifests:
    description: The objects of the stack, as texts of YAML with any number of documents each, or as mappings.
    type: list
    elements: raw
    required: true
  namespace:
    description:
      - The namespace of the stack. The manifests have to contain it.
      - If it is not given, it is the one that the kplane configuration file names, else V(kplane-system).
    type: str
  address:
    description:
      - The address that clients outside of the cluster reach the shared API server by, for example V(https://127.0.0.1:8443). Its host is
        named by the certificate.
    type: str
    required: true
  names:
    description: More names and addresses for that certificate.
    type: list
    elements: str
    default: []
  cluster_domain:
    description: The DNS domain of the cluster. Certificates name Services by it, and the operator's kubeconfig the API server.
    type: str
    default: cluster.local
  rotate:
    description:
      - What is made anew in this run.
      - V(certificates) are those of the API server, of etcd and of their clients. The authorities stay, so nothing that was handed out
        is voided.
      - V(certificate-authorities) certify these. New ones are trusted beside the old ones first, by everything. That of etcd signs in the
        same run, then the old one is trusted no more. That of the API server signs from the first run after O(ca_overlap) days on. Until
        then every kubeconfig has to be fetched again. An authority that nears its end is replaced without being asked.
      - V(service-account-keys) sign the tokens of service accounts. The ones before verify them for O(key_overlap) more days.
      - V(administrator-token) is the token that the operator works with. The one before is void as soon as the API server has restarted.
    type: list
    elements: str
    choices: [certificates, certificate-authorities, service-account-keys, administrator-token]
    default: []
  renew_before:
    description: Certificates that end within this many days are made anew.
    type: int
    default: 60
  key_overlap:
    description: How many days a signing key that was replaced still verifies tokens.
    type: int
    default: 7
  ca_overlap:
    description:
      - How many days there are to fetch every kubeconfig again when the authority of the API server is replaced.
      - With V(0) the old one is void at the end of this run.
    type: int
    default: 30
  stack_version:
    description: A name for this version of the manifests, to be remembered.
    type: str
    default: ""
  allow_downgrade:
    description: Whether a component may become older than it is. etcd and Kubernetes do not support that.
    type: bool
    default: false
  wait:
    description: Whether to wait until each part serves, and until the shared API server answers at O(address).
    type: bool
    default: true
  wait_timeout:
    description: How many seconds each part may take.
    type: float
    default: 300
seealso:
  - module: kplane.core.kplane_management_plane
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Bring the stack in
  kplane.core.kplane_stack:
    provider: kubeconfig
    management_context: production
    address: https://kplane.example.com:6443
    manifests:
      - "{{ lookup('ansible.builtin.file', 'namespace.yml') }}"
      - "{{ lookup('ansible.builtin.file', 'etcd.yml') }}"
      - "{{ lookup('ansible.builtin.file', 'apiserver.yml') }}"
      - "{{ lookup('ansible.builtin.file', 'operator.yml') }}"

- name: Make the signing keys of service accounts anew
  kplane.core.kplane_stack:
    address: https://127.0.0.1:8443
    manifests: "{{ manifests }}"
    rotate: [service-account-keys]
"""

RETURN = r"""
objects:
  description: What became of each object that was not as declared.
  returned: success
  type: list
  elements: dict
  sample:
    - object: apps/v1/Deployment/kplane-system/kplane-apiserver
      action: updated
  contains:
    object:
      description: Its API version, kind, namespace and name.
      returned: success
      type: str
    action:
      description: What was done, or would be done in check mode.
      returned: success
      type: str
      choices: [created, updated, deleted]
secrets:
  description: Why Secrets were made anew.
  returned: success
  type: dict
  sample: {kplane-apiserver-tls: it ends on 2027-01-01}
certificates:
  description: When each certificate ends. An authority that is being replaced is there twice.
  returned: success
  type: list
  elements: dict
  sample:
    - secret: kplane-apiserver-tls
      key: tls.crt
      ends: "2027-01-01T00:00:00Z"
authorities:
  description: The authorities that are being replaced, and from when on the next one signs. Until then both are trusted.
  returned: success
  type: list
  elements: dict
  sample:
    - secret: kplane-cluster-signing-keys
      signs_from: "2027-01-01T00:00:00Z"
images:
  description: The image of each component.
  returned: success
  type: dict
  sample: {etcd: "quay.io/coreos/etcd:v3.5.13"}
images_before:
  description: The images that were in force before.
  returned: success
  type: dict
resumed:
  description: Whether an earlier run had not come to its end.
  returned: success
  type: bool
"""

import typing as t
from datetime import timedelta
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.kplane.core.plugins.module_utils import (
    _argspec,
    _config,
    _module,
    _pki,
    _plane,
    _stack,
    _stack_held,
    _stack_objects,
    _stack_restore,
    _stack_secrets,
    _stack_wait,
)
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import CA_SECRET
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._stack_secrets import Wanted


def _wanted(
    params: _plane.Params, namespace: str, objects: list[_stack_objects.Object], rotation: _stack_held.Rotation, check_mode: bool
) -> Wanted:
    """What the Secrets depend on."""
    host = urlsplit(params["address"]).hostname
    if not params["address"].startswith("https://") or not host:
        raise KplaneError(f"The address {params['address']!r} is not an https URL with a host")
    for option in ("renew_before", "key_overlap", "ca_overlap"):
        if params[option] < 0:
            raise KplaneError(f"{option} is {params[option]}; it is a number of days, 0 or more")
    sets = [obj.body["spec"] for obj in objects if obj.resource == _stack_objects.STATEFUL_SETS and obj.component == "etcd"]
    return Wanted(
        namespace=namespace,
        names=tuple(dict.fromkeys([host, *params["names"]])),
        etcd_replicas=int(sets[0].get("replicas", 1)) if sets else 1,
        domain=params["cluster_domain"],
        rotation=rotation,
        renew_before=timedelta(days=params["renew_before"]),
        key_overlap=timedelta(days=params["key_overlap"]),
        ca_overlap=timedelta(days=params["ca_overlap"]),
        # Check mode waits for nothing: it shows what the first step would be if everything serves.
        settled=check_mode,
    )


class Brought(t.NamedTuple):
    """What all passes together did."""

    actions: list[_stack.Action]
    reasons: dict[str, str]
    held: dict[str, _stack_held.Held]


def _bring(
    module: AnsibleModule, client: Client, objects: list[_stack_objects.Object], before: _stack.Inventory, wanted: Wanted
) -> Brought:
    """Apply everything, and once more for each step that an authority goes: all parts serve with one before the next is taken."""
    params = module.params
    actions: list[_stack.Action] = []
    reasons: dict[str, str] = {}
    while True:
        secrets = _stack_secrets.settle(_stack.read_secrets(client, wanted.namespace), wanted)
        module.no_log_values.update(_stack_secrets.secret_values(secrets.held))
        plan = _stack.Plan(
            wanted.namespace,
            objects,
            secrets,
            wanted.rotation,
            params["stack_version"],
            module.check_mode,
            params["wait"],
            params["wait_timeout"],
        )
        stack = _stack.Stack(client, plan, before)
        actions += [entry for entry in stack.run() if entry.action != "unchanged"]
        for name, reason in secrets.reasons.items():
            reasons[name] = f"{reasons[name]}; then {reason}" if name in reasons else reason
        if module.check_mode or not params["wait"]:
            return Brought(actions, reasons, secrets.held)
        _stack_wait.wait_way_in(params["address"], secrets.held[CA_SECRET].data["ca.crt"], params["wait_timeout"])
        if not secrets.more:
            return Brought(actions, reasons, secrets.held)
        before, wanted = stack.remembered, wanted._replace(settled=True)


def work(module: AnsibleModule) -> _module.Result:
    """Compare, apply in order, wait."""
    params = module.params
    if _pki.IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib(_pki.LIBRARY), exception=_pki.IMPORT_ERROR)
    namespace = params["namespace"] or _config.ConfigFile(params["config_path"]).profile().namespace
    objects = _stack_objects.parse(params["manifests"])
    if not any(obj.resource == _stack_objects.NAMESPACES and obj.name == namespace for obj in objects):
        raise KplaneError(f"The manifests do not contain the namespace {namespace}")
    with _plane.reach_cluster(params) as client:
        _stack_restore.require_none_begun(client, namespace)
        before = _stack.read_inventory(client, namespace)
        rotation = _stack.rotation_of(before, params["rotate"])
        wanted = _wanted(params, namespace, objects, rotation, module.check_mode)
        older = _stack_objects.downgrades(_stack.in_force(client, objects, before), _stack_objects.images(objects))
        if older and not params["allow_downgrade"]:
            raise KplaneError(
                f"Nothing was changed: this would make a component older, which is not supported: {'; '.join(older)}. "
                "Set allow_downgrade to true to do it all the same."
            )
        brought = _bring(module, client, objects, before, wanted)
    awaited = _stack_secrets.awaited(brought.held, wanted)
    for entry in awaited:
        module.warn(
            f"The certificate authority in the Secret {entry['secret']} is being replaced. Until {entry['signs_from']} every kubeconfig "
            "that was handed out has to be fetched again (playbook kplane.core.get_credentials): the first run of the playbook "
            "kplane.core.up after that lets the new authority sign, and who knows only the old one trusts the management plane no more."
        )
    return {
        "changed": bool(brought.actions),
        "objects": [{"object": entry.key, "action": entry.action} for entry in brought.actions],
        "secrets": brought.reasons,
        "certificates": _stack_secrets.certificates(brought.held),
        "authorities": awaited,
        "images": _stack_objects.images(objects),
        "images_before": before.images,
        "resumed": before != _stack.NOTHING and not before.complete,
    }


def main() -> None:
    spec: _argspec.ArgumentSpec = {
        "manifests": {"type": "list", "elements": "raw", "required": True},
        "namespace": {"type": "str"},
        "address": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "default": []},
        "cluster_domain": {"type": "str", "default": "cluster.local"},
        "rotate": {"type": "list", "elements": "str", "choices": list(_stack_secrets.ROTATABLE), "default": [], "no_log": False},
        "renew_before": {"type": "int", "default": 60},
        "key_overlap": {"type": "int", "default": 7, "no_log": False},
        "ca_overlap": {"type": "int", "default": 30},
        "stack_version": {"type": "str", "default": ""},
        "allow_downgrade": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "float", "default": 300.0},
        **_argspec.PLANE,
        **_argspec.CONNECTION,
    }
    _module.run(_module.Module(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
