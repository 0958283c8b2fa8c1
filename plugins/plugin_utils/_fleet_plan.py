# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a management plane holds what a fleet declares; pure.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _vcp
from ansible_collections.kplane.core.plugins.module_utils._client import Json
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import FLEET_LABEL, SEED_ANNOTATION, UNPRUNED, Wanted, summary_of


class PruneRefused(KplaneError):
    """Pruning would take away a larger share of the fleet than was allowed."""


class Policy(t.NamedTuple):
    """How far a run may go."""

    fleet: str
    prune: bool = False
    prune_limit: float = 10.0
    adopt: bool = False
    reseed: bool = False
    prune_seeds: bool = False
    #: The time of the run, in seconds since the epoch.
    now: float = 0.0


class Job(t.NamedTuple):
    """All that has to be done for one VCP."""

    name: str
    host: str
    step: _vcp.Step
    wanted: Wanted | None = None
    live: Json | None = None
    pruned: bool = False
    #: It is being deleted: it has to be gone before it can be made again.
    leaving: bool = False
    seed: bool = False
    error: KplaneError | None = None

    @property
    def action(self) -> str:
        """What happens to it, in one word."""
        if self.pruned:
            return "pruned"
        if self.step.action == "unchanged" and self.seed:
            return "seeded"
        return self.step.action


class Plan(t.NamedTuple):
    """The jobs of one management plane, and how many VCPs of the fleet it holds now."""

    jobs: list[Job]
    owned: int


def owner(obj: Json) -> str:
    """The fleet that a ControlPlane belongs to, or an empty string."""
    return str(((obj.get("metadata") or {}).get("labels") or {}).get(FLEET_LABEL) or "")


def annotation(obj: Json | None, key: str) -> str:
    """An annotation of a ControlPlane, or an empty string."""
    return str((((obj or {}).get("metadata") or {}).get("annotations") or {}).get(key) or "")


def leaving(obj: Json | None) -> bool:
    """Whether a ControlPlane is being deleted."""
    return bool(((obj or {}).get("metadata") or {}).get("deletionTimestamp"))


def _not_ours(live: Json, policy: Policy) -> KplaneError | None:
    found = owner(live)
    name = live["metadata"]["name"]
    if found == policy.fleet:
        return None
    if found:
        return KplaneError(f"{name} belongs to the fleet {found!r}")
    if policy.adopt:
        return None
    return KplaneError(f"{name} is there already and belongs to no fleet; set adopt to true to take it into the fleet {policy.fleet!r}")


def _job(wanted: Wanted, world: _vcp.World, addresses: _vcp.Addresses, policy: Policy) -> Job:
    name, live = wanted.name, world.control_planes.get(wanted.name)
    nothing = _vcp.Step(name, "unchanged")
    problem = _not_ours(live, policy) if live is not None else None
    if problem is not None:
        return Job(name, wanted.host, nothing, wanted, live, error=problem)
    if live is None and wanted.over(policy.now):
        return Job(name, wanted.host, nothing, wanted._replace(state="absent"))
    if wanted.state == "absent":
        # An endpoint that is left alone without its VCP is not this fleet's business.
        step = _vcp.plan_absent(wanted.declared, world) if live is not None else nothing
        return Job(name, wanted.host, step, wanted, live)
    gone = leaving(live)
    if gone:
        rest = {key: obj for key, obj in world.control_planes.items() if key != name}
        world = _vcp.World(rest, {key: obj for key, obj in world.endpoints.items() if key != _vcp.endpoint_of(live or {})})
    step = _vcp.plan_present(wanted.declared, world, addresses)
    seed = wanted.seed is not None and wanted.state == "present" and _to_seed(wanted, None if gone else live, policy)
    return Job(name, wanted.host, step, wanted, live, leaving=gone, seed=seed)


def _to_seed(wanted: Wanted, live: Json | None, policy: Policy) -> bool:
    there, unpruned = seed_of(live)
    return wanted.seed_hash != there or (unpruned and policy.prune_seeds) or (policy.reseed and bool(wanted.seed))


def seed_of(live: Json | None) -> tuple[str, bool]:
    """The hash of the seed that a VCP has, and whether objects of earlier ones may be in it that this one does not hold."""
    there = annotation(live, SEED_ANNOTATION)
    unpruned = there.endswith(UNPRUNED)
    return (there[: -len(UNPRUNED)] if unpruned else there), unpruned


def plan(vcps: t.Sequence[Wanted], world: _vcp.World, addresses: _vcp.Addresses, policy: Policy) -> Plan:
    """The jobs, in the order of the declaration, what is pruned last; refuses to prune too much."""
    names = {vcp.name for vcp in vcps}
    owned = [obj for obj in world.control_planes.values() if owner(obj) == policy.fleet]
    jobs = [_job(vcp, world, addresses, policy) for vcp in vcps]
    extra = sorted(
        (obj for obj in owned if obj["metadata"]["name"] not in names and not leaving(obj)), key=lambda obj: str(obj["metadata"]["name"])
    )
    if policy.prune and extra:
        check_share([obj["metadata"]["name"] for obj in extra], len(owned), policy)
        for obj in extra:
            name = str(obj["metadata"]["name"])
            jobs.append(Job(name, "", _vcp.plan_absent(_vcp.Declared(name), world), None, obj, pruned=True))
    return Plan(jobs, len(owned))


def check_share(names: t.Sequence[str], owned: int, policy: Policy) -> None:
    """Refuse to prune more than the allowed share of what the fleet owns."""
    share = 100.0 * len(names) / max(owned, 1)
    if share > policy.prune_limit:
        raise PruneRefused(
            f"The inventory no longer names {len(names)} of {owned} VCPs of the fleet {policy.fleet!r} ({share:.1f} %): "
            f"{summary_of(names)}. "
            f"At most {policy.prune_limit:g} % are pruned unless told otherwise, and nothing was changed. "
            "If that is what you want, say prune_limit=100 (the variable kplane_fleet_prune_limit).",
            prunable=list(names),
            owned=owned,
        )
