# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ControlPlane and its class settle for a control plane: limits, whether it is paused, when it ends. Pure.

What the ControlPlane itself says is kept in the record of the control plane (:class:`Standing`, as ``VcpRecord.settings``), so that it is
in force from the first request after a start, whoever asks. What the class says is read from the class, and so follows its changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from kplane_server.model import durations, timestamps
from kplane_server.vcp import contract

Document = Mapping[str, Any]

DAY: Final = 86_400
#: The longest life that can be asked for: longer ones are typing errors.
MAX_SECONDS: Final = 100 * 365 * DAY
#: How long before its end a control plane's owners are warned: a tenth of its life, at most the one, at least (or half its life) the other.
LONGEST_WARNING: Final = DAY
SHORTEST_WARNING: Final = 60
#: From this share of a limit on, its owners are told.
NEAR: Final = 0.8
MAX_LIMIT: Final = 2**53

_DAYS: Final = re.compile(r"(\d{1,6})d")


class Limits(NamedTuple):
    """Bounds of one control plane; ``None`` is no bound beside the server's own."""

    objects: int | None = None
    bytes: int | None = None
    requests_in_flight: int | None = None
    writes_per_second: int | None = None

    def lowered(self, other: Limits) -> Limits:
        """The smaller of each."""
        return Limits(*(_least(mine, theirs) for mine, theirs in zip(self, other, strict=True)))


#: The fields as a class and the annotation spell them.
LIMIT_FIELDS: Final = ("objects", "bytes", "requestsInFlight", "writesPerSecond")
NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in force for a control plane beside the rules of its class.

    control_plane: the name of its ControlPlane, where that is not its own. resume: a request of somebody who is known ends the pause.
    """

    klass: str = ""
    control_plane: str = ""
    paused: bool = False
    resume: bool = False
    limits: Limits = NO_LIMITS

    def encode(self) -> str:
        """The text that a record keeps."""
        fields: dict[str, Any] = {
            "class": self.klass,
            "controlPlane": self.control_plane,
            "paused": self.paused,
            "resume": self.resume,
            "limits": {name: value for name, value in zip(LIMIT_FIELDS, self.limits, strict=True) if value is not None},
        }
        return orjson.dumps({name: value for name, value in fields.items() if value}).decode()


@lru_cache(maxsize=4096)
def decode(settings: str) -> Standing:
    """The standing in a record."""
    fields = orjson.loads(settings) if settings else {}
    return Standing(
        fields.get("class", ""),
        fields.get("controlPlane", ""),
        fields.get("paused", False),
        fields.get("resume", False),
        limits_of(fields.get("limits")),
    )


def standing_of(control_plane: Document) -> Standing:
    """What a ControlPlane says. What it says wrongly counts as not said; admission has refused it (see ``policy``)."""
    metadata, spec = control_plane["metadata"], control_plane.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    name, path = metadata["name"], contract.cluster_path(control_plane)
    paused = annotations.get(contract.STATE_ANNOTATION) == contract.PAUSED
    try:
        limits = parse_limits(annotations.get(contract.LIMITS_ANNOTATION, "{}"))
    except ValueError:
        limits = NO_LIMITS
    return Standing(
        (spec.get("classRef") or {}).get("name") or "",
        "" if name == path else name,
        paused,
        paused and annotations.get(contract.RESUME_ANNOTATION) == "true",
        limits,
    )


def limits_of(fields: Document | None) -> Limits:
    """Limits as a class spells them."""
    return Limits(*((fields or {}).get(name) for name in LIMIT_FIELDS))


def parse_limits(text: str) -> Limits:
    """The value of the annotation: a JSON object of whole numbers. Raises ValueError."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"must be a JSON object: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("must be a JSON object")
    if unknown := sorted(set(fields) - set(LIMIT_FIELDS)):
        raise ValueError(f'unknown limit "{unknown[0]}": there are {", ".join(LIMIT_FIELDS)}')
    for name, value in fields.items():
        least = 1 if name in LIMIT_FIELDS[2:] else 0
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_LIMIT:
            raise ValueError(f"{name} must be a whole number from {least} on")
    return limits_of(fields)


def parse_lifetime(text: str) -> int:
    """Seconds of ``72h``, ``30m``, ``7d`` or ``1d12h``. Raises ValueError."""
    days = _DAYS.match(text)
    rest = text[days.end() :] if days else text
    seconds = int(days[1]) * DAY if days else 0
    if rest or not days:
        more = durations.parse(rest)
        seconds = seconds + more // 10**9 if more >= 0 else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{text!r} is not between a second and 100 years")
    return seconds


class Span(NamedTuple):
    """When a control plane ends, in seconds since the epoch, and when its owners are to be told."""

    ends: int
    warning: int


def span(control_plane: Document, class_spec: Document) -> Span | None:
    """The life of a ControlPlane by its annotations and its class: the earliest end that anything names. None: it has no end."""
    metadata = control_plane["metadata"]
    annotations = metadata.get("annotations") or {}
    born = int(timestamps.to_epoch(metadata["creationTimestamp"]))
    own = [born + seconds for seconds in [_quietly(parse_lifetime, annotations.get(contract.TTL_ANNOTATION))] if seconds is not None] + [
        int(moment) for moment in [_quietly(timestamps.to_epoch, annotations.get(contract.EXPIRES_ANNOTATION))] if moment is not None
    ]
    ends = list(own)
    default, longest = (_quietly(parse_lifetime, class_spec.get(field)) for field in ("ttl", "maxTTL"))
    if default is not None and not own:
        ends.append(born + default)
    if longest is not None:
        ends.append(born + longest)
    if not ends:
        return None
    end = int(min(ends))
    life = max(end - born, 0)
    return Span(end, end - min(LONGEST_WARNING, max(life // 10, min(SHORTEST_WARNING, life // 2))))


def _quietly(parse: Any, text: str | None) -> float | None:
    """What ``parse`` makes of a text that may be missing, or wrong from before there was a rule."""
    if not text:
        return None
    try:
        number: float = parse(text)
    except ValueError:
        return None
    return number


def _least(mine: int | None, theirs: int | None) -> int | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return min(mine, theirs)
