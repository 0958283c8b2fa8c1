# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate authorities of a stack: made once, and replaced in steps between which everything trusts everything.

An authority is a Secret: ``ca.crt`` is what is trusted, ``ca.key`` is what signs. It is replaced as Kubernetes documents that for its
own: first the new one is trusted beside the old one by all (it waits in ``next.crt`` and ``next.key``), then it signs, then the old one is
trusted no more. A step is only taken when every part of the stack serves with the one before.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta

from ansible_collections.kplane.core.plugins.module_utils import _pki
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Held, Rotation, parse_time, time_text

ROTATE_AUTHORITIES: t.Final = "certificate-authorities"
#: On the Secret of an authority that is being replaced: since when the next one is trusted, or the certificate that goes.
_SINCE = "core.kplane.dev/next-trusted-since"
_LEAVES = "core.kplane.dev/leaves"


class Policy(t.NamedTuple):
    """What decides about the next step."""

    rotation: Rotation = Rotation()
    renew_before: timedelta = timedelta(days=60)
    #: How long who trusts the old one only has time to learn of the new one.
    overlap: timedelta = timedelta(days=30)
    #: Whether every part of the stack serves with what the Secrets hold now.
    settled: bool = False


class Step(t.NamedTuple):
    """The Secret as it should be now, and why it differs from what it was."""

    held: Held
    reason: str = ""
    #: Whether there is another step to take as soon as everything serves with this one.
    more: bool = False


def make(common_name: str) -> Held:
    """A first authority."""
    made = _pki.make_ca(common_name)
    return Held({"ca.crt": made.public, "ca.key": made.private}, {})


def check(name: str, found: Held) -> None:
    """Refuse a Secret that is not a whole authority."""
    if not found.data.get("ca.crt") or not found.data.get("ca.key"):
        # Another authority would void every kubeconfig that is out there: that is not decided here.
        raise KplaneError(f"The Secret {name} has no ca.crt or no ca.key. Restore it from a backup, or delete it to start anew.")
    if _pki.certificate_of(found.data["ca.crt"], found.data["ca.key"]) is None:
        raise KplaneError(
            f"The Secret {name} is broken: its ca.key is not the key of any certificate in its ca.crt. Restore it from a backup."
        )


def signing(held: Held) -> _pki.Pair:
    """What certifies at this moment."""
    certificate = _pki.certificate_of(held.data["ca.crt"], held.data["ca.key"])
    if certificate is None:
        raise KplaneError("A ca.key is not the key of any certificate in its ca.crt")
    return _pki.Pair(certificate, held.data["ca.key"])


def step(name: str, common_name: str, found: Held, policy: Policy) -> Step:
    """The next step of an authority that is there."""
    check(name, found)
    if "next.key" in found.data:
        if policy.rotation.asks(ROTATE_AUTHORITIES, found):
            raise KplaneError(
                f"The authority in the Secret {name} is being replaced already: the next one is trusted since "
                f"{found.annotations.get(_SINCE)} and will sign from {time_text(switches(found, policy))} on. "
                "Set ca_overlap to fewer days to end that sooner."
            )
        return _sign(found, policy)
    if _LEAVES in found.annotations:
        return _drop(found, policy)
    reason = ""
    if policy.rotation.asks(ROTATE_AUTHORITIES, found):
        reason = "a new one was asked for; both are trusted"
    elif _pki.ends(signing(found).public) - _pki.now() < policy.renew_before + policy.overlap:
        reason = f"it ends on {_pki.ends(signing(found).public):%Y-%m-%d}; the next one is trusted beside it"
    return _trust(common_name, found, policy, reason) if reason else Step(found)


def switches(held: Held, policy: Policy) -> datetime:
    """When the next authority begins to sign: after the overlap, or when the old one ends."""
    return min(parse_time(held.annotations[_SINCE]) + policy.overlap, _pki.ends(signing(held).public))


def awaited(held: Held, policy: Policy) -> str:
    """When the next authority begins to sign, or an empty string if there is none."""
    return time_text(switches(held, policy)) if "next.key" in held.data else ""


def _trust(common_name: str, found: Held, policy: Policy, reason: str) -> Step:
    made = _pki.make_ca(common_name)
    data = {**found.data, "ca.crt": _joined(found.data["ca.crt"], made.public), "next.crt": made.public, "next.key": made.private}
    held = Held(data, {**policy.rotation.marks(), _SINCE: time_text(_pki.now())})
    return Step(held, reason, more=_pki.now() >= switches(held, policy))


def _sign(found: Held, policy: Policy) -> Step:
    due = _pki.now() >= switches(found, policy)
    if not due or not policy.settled:
        return Step(found, more=due)
    old = signing(found).public
    data = {key: value for key, value in found.data.items() if key not in ("next.crt", "next.key")}
    others = [entry for entry in _pki.split(found.data["ca.crt"]) if entry.strip() != found.data["next.crt"].strip()]
    data.update({"ca.crt": _joined(found.data["next.crt"], *others), "ca.key": found.data["next.key"]})
    return Step(Held(data, {**found.marks(), _LEAVES: json.dumps(old)}), "the next one signs now", more=True)


def _drop(found: Held, policy: Policy) -> Step:
    if not policy.settled:
        return Step(found, more=True)
    old = str(json.loads(found.annotations[_LEAVES]))
    kept = [entry for entry in _pki.split(found.data["ca.crt"]) if entry.strip() != old.strip()]
    return Step(Held({**found.data, "ca.crt": _joined(*kept)}, found.marks()), "the one before is trusted no more")


def _joined(*certificates: str) -> str:
    return "".join(text.strip() + "\n" for text in certificates)
