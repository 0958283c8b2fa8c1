# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a control plane with time: paused and resumed, near its limits, near its end, at its end.

The moment at which something is due is kept with the record of the control plane, in an index: there is no timer for each, and nothing to
read at a start.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kplane_server.controllers import documents
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID
from kplane_server.storage.api import Mutation, Usage
from kplane_server.vcp import contract
from kplane_server.vcp.standing import NEAR, Limits, Span, Standing, limits_of, span, standing_of

Document = dict[str, Any]

EXPIRING: Final = "Expiring"
WITHIN_LIMITS: Final = "WithinLimits"


class Outlook(NamedTuple):
    """What the record of a control plane is to hold, and how its status is to be."""

    standing: Standing
    due: int | None
    status: Document
    told: tuple[Document, str]

    def events(self, before: Document) -> list[Mutation]:
        """The Events about what has changed since the status was ``before``."""
        return _events(self.told[0], before, self.status, self.told[1])


def outlook(document: Document, klass: Document | None, status: Document, usage: Usage, now: float) -> Outlook:
    """The standing of a control plane, and ``status`` (what else there is to say of it) with what follows from that."""
    rules = (klass or {}).get("spec") or {}
    standing, life = standing_of(document), span(document, rules)
    stamp, generation = timestamps.from_epoch(now), document["metadata"].get("generation", 1)
    verdicts = [
        verdict
        for verdict in (
            _ready(standing) if standing.paused else None,
            _expiring(life, now) if life is not None else None,
            within_limits(usage, standing.limits.lowered(limits_of(rules.get("limits")))),
        )
        if verdict is not None
    ]
    known = {verdict["type"] for verdict in verdicts}
    kept = [c for c in status.get("conditions") or () if c["type"] in known or c["type"] not in (EXPIRING, WITHIN_LIMITS)]
    new = {**status, "conditions": documents.with_conditions(kept, verdicts, generation, stamp)}
    new.pop("expiresAt", None)
    due = None
    if life is not None:
        new["expiresAt"] = timestamps.from_epoch(life.ends)
        due = life.warning if now < life.warning else life.ends
    return Outlook(standing, due, new, (document, stamp))


def ended(document: Document, klass: Document | None, now: float) -> bool:
    """Whether a ControlPlane has come to its end."""
    life = span(document, (klass or {}).get("spec") or {})
    return life is not None and life.ends <= now


def within_limits(usage: Usage, limits: Limits) -> Document | None:
    """The condition about what a control plane holds, if there is a limit to it."""
    full, near, said = [], [], []
    for what, used, limit in (("objects", usage.objects, limits.objects), ("bytes", usage.bytes, limits.bytes)):
        if limit is None:
            continue
        said.append(what)
        if used >= limit:
            full.append(f"{limit} {what}")
        elif used >= NEAR * limit:
            near.append(f"{limit} {what}")
    if not said:
        return None
    if full or near:
        reason, share = ("LimitsReached", "all") if full else ("LimitsNear", f"more than {NEAR:.0%}")
        return documents.condition(WITHIN_LIMITS, False, reason, f"the control plane holds {share} of its {' and '.join(full or near)}")
    return documents.condition(WITHIN_LIMITS, True, "BelowLimits", f"the control plane is well below its limits of {' and '.join(said)}")


def _ready(standing: Standing) -> Document:
    how = f"remove annotation {contract.STATE_ANNOTATION} from its ControlPlane to resume it"
    if standing.resume:
        how += ", or make an authenticated request to it"
    return documents.condition("Ready", False, "Paused", f"the control plane is paused and not served; {how}")


def _expiring(life: Span, now: float) -> Document:
    moment = timestamps.from_epoch(life.ends)
    if now < life.warning:
        return documents.condition(EXPIRING, False, "Scheduled", f"the control plane is deleted at {moment}")
    return documents.condition(EXPIRING, True, "ExpiresSoon", f"the control plane is deleted soon, at {moment}")


#: Conditions whose change is told by an Event: type → the status that is a warning.
_TOLD: Final = {EXPIRING: "True", WITHIN_LIMITS: "False"}


def _events(document: Document, old: Document, status: Document, now: str) -> list[Mutation]:
    """An Event for each condition that has just become worse, and for a pause and its end."""
    told = []
    for kind, worse in _TOLD.items():
        before, after = documents.find_condition({"status": old}, kind), documents.find_condition({"status": status}, kind)
        if after is not None and after["status"] == worse and (before is None or before["reason"] != after["reason"]):
            told.append(documents.event(ROOT_VCP_ID, document, after["reason"], after["message"], now, warning=True))
    before, after = documents.find_condition({"status": old}, "Ready"), documents.find_condition({"status": status}, "Ready")
    was, is_now = (condition is not None and condition["reason"] == "Paused" for condition in (before, after))
    if is_now and not was and after is not None:
        told.append(documents.event(ROOT_VCP_ID, document, "Paused", after["message"], now))
    return told
