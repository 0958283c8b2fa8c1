#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_fleet
short_description: Make a fleet of virtual control planes as the inventory describes it
description:
  - Every host of the group O(group) declares one virtual control plane (VCP) by its variables. This makes the management planes hold
    what they declare. It creates, changes, seeds, hands credentials out, and takes away what the inventory no longer names.
  - It works on the controller, once for all hosts, on many VCPs at the same time. A VCP that fails does not stop the others.
  - A VCP belongs to the fleet by its label C(kplane.core/fleet). Others are never changed and never pruned.
  - The next run goes on where an interrupted one was, because everything is compared with what is there.
extends_documentation_fragment:
  - kplane.core._attributes
attributes:
  check_mode:
    support: full
    details:
      - The management plane is asked what it would do (dry run). Seeds are compared by their hash and not sent.
      - A management plane that is not there, or does not answer, is taken for one without any VCP, with a warning that says so.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With O(reseed=true), seeds are applied again, which is reported as a change.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
    details:
      - All of it runs on the controller, so C(delegate_to) and C(become) mean nothing.
  bypass_host_loop:
    description: Forces a global task that does not execute per host, this bypasses per host templating and serial, throttle and other
      loop considerations.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
options:
  fleet:
    description: The name of the fleet, the value of the label C(kplane.core/fleet) of everything that belongs to it.
    type: str
    required: true
  group:
    description: The group whose hosts declare the VCPs.
    type: str
    default: kplane_vcps
  prune:
    description: Whether to delete VCPs of this fleet that no host declares any more, and what was handed out for them.
    type: bool
    default: false
  prune_limit:
    description:
      - The share of the fleet, in percent, that may be pruned in one run. If it is more, nothing at all is done.
      - It is counted on each management plane.
    type: float
    default: 10.0
  adopt:
    description: Whether a VCP that is there already and belongs to no fleet is taken into this one. If not, it is an error.
    type: bool
    default: false
  reseed:
    description: Whether seeds are applied even where their hash says that they have been.
    type: bool
    default: false
  prune_seeds:
    description:
      - Whether objects that earlier seeds made in a VCP, and its seed no longer holds, are deleted there. What others made never is. A
        namespace goes with all that is in it, so look with C(--check --diff) first.
      - They are found by the label C(applyset.kubernetes.io/part-of). If it is V(false), they stay, and a later run can still delete them.
    type: bool
    default: false
  force_conflicts:
    description: Whether a seed takes over fields that another field manager owns.
    type: bool
    default: false
  parallel:
    description: How many VCPs of a management plane to work on at the same time.
    type: int
    default: 12
  wait:
    description: Whether to wait until VCPs are ready. Without it, those that are not ready at once are not seeded in this run.
    type: bool
    default: true
  wait_timeout:
    description: How many seconds to wait at most for one VCP, and for a management plane that is being restarted.
    type: float
    default: 120.0
  record:
    description: A file that gets a record of the run, for the role P(kplane.core.report#role). It is not written in check mode.
    type: path
  events:
    description:
      - A file that each event of the run is appended to as one line of JSON, while it goes on, for dashboards and C(tail -f). Callback
        plugins name files of their own in E(KPLANE_FLEET_EVENTS). The callback P(kplane.core.fleet#callback) says what an event is.
    type: path
  progress:
    description:
      - Whether to show how far it is, twice a second. V(auto) does so if the output is a terminal and no callback plugin does.
    type: str
    choices: [auto, always, never]
    default: auto
notes:
  - "What a host declares by its variables: C(kplane_name) (the name of the VCP; else the name of the host up to its first dot),
    C(kplane_state) (C(present), C(paused) or C(absent)), C(kplane_class), C(kplane_labels), C(kplane_annotations),
    C(kplane_deletion_policy), C(kplane_ttl), C(kplane_expires), C(kplane_limits),
    C(kplane_resume_on_request), C(kplane_reattach), C(kplane_credentials) and
    C(kplane_manifests). They are described by the role P(kplane.core.fleet#role)."
  - "Where it lives: C(kplane_provider), C(kplane_cluster_name), C(kplane_data_dir), C(kplane_config_path),
    C(kplane_management_kubeconfig), C(kplane_management_context) and C(kplane_request_timeout). Hosts may differ in them."
  - C(paused), C(kplane_ttl), C(kplane_expires) and C(kplane_limits) need an V(embedded) management plane. Elsewhere such a VCP fails
    with an error that says so.
seealso:
  - module: kplane.core.kplane_vcp
  - plugin: kplane.core.kplane
    plugin_type: inventory
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Make the fleet as the inventory describes it
  kplane.core.kplane_fleet:
    fleet: blue

- name: Take away what the inventory no longer names, but never more than a twentieth
  kplane.core.kplane_fleet:
    fleet: blue
    prune: true
    prune_limit: 5

- name: Keep a record of the run
  kplane.core.kplane_fleet:
    fleet: blue
    record: ~/fleet-blue.json
"""

RETURN = r"""
fleet:
  description: The name of the fleet.
  returned: success
  type: str
  sample: blue
summary:
  description: How many VCPs there are, were changed and failed, and how many had each action.
  returned: always
  type: dict
  sample:
    total: 200
    changed: 3
    failed: 1
    created: 2
    updated: 1
    unchanged: 196
results:
  description: One result for each VCP, in the order of the inventory; what was pruned comes last. If any failed, only those that did.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name of the VCP.
      returned: always
      type: str
      sample: team-001
    host:
      description: The host that declares it; empty if it was pruned.
      returned: always
      type: str
      sample: team-001
    plane:
      description: The context of its management plane.
      returned: always
      type: str
      sample: embedded-kplane-management
    action:
      description: What was done, or would be done in check mode.
      returned: always
      type: str
      choices: [unchanged, created, updated, seeded, credentials, deleted, pruned]
    changed:
      description: Whether it was changed.
      returned: always
      type: bool
    failed:
      description: Whether something went wrong with it.
      returned: always
      type: bool
    msg:
      description: What went wrong.
      returned: always
      type: str
    seeded:
      description: Whether its seed was applied.
      returned: when it had to be
      type: bool
    seed_pruned:
      description: What was deleted in it because its seed no longer holds it.
      returned: with O(prune_seeds=true), when there was something
      type: list
      elements: str
      sample: ["ConfigMap default/welcome"]
    credentials:
      description: Where its credential was handed out to.
      returned: when it was
      type: list
      elements: str
      sample: [directory]
    seconds:
      description: How long it took, from the first request to the last.
      returned: when it was changed
      type: float
started:
  description: When the run started.
  returned: success
  type: str
  sample: "2026-01-01T00:00:00Z"
finished:
  description: When it ended.
  returned: success
  type: str
  sample: "2026-01-01T00:00:03Z"
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 2.5
"""
