# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LimitRanger: what containers do not say is filled in, and nothing is smaller or larger than its namespace allows.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

from kplane_server.admission.amounts import Amounts, amounts, written
from kplane_server.admission.collections import Compiled
from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.podresources import containers, resources, totals
from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.model.quantity import Quantity
from kplane_server.registry.attributes import Attributes, Operation

LIMIT_RANGES: Final = ResourceId("limitranges")
_ANNOTATION: Final = "kubernetes.io/limit-ranger"
_PODS: Final = "pods"
_CLAIMS: Final = "persistentvolumeclaims"
_KINDS: Final = (("containers", "container"), ("initContainers", "init container"))
#: Beyond this, amounts are compared as whole numbers; up to it in thousandths (upstream's ``MaxMilliValue``).
_MAX_MILLI: Final = Decimal((2**63 - 1) // 1000)


class Item(NamedTuple):
    """One entry of a LimitRange."""

    type: str
    min: Amounts
    max: Amounts
    ratio: Amounts
    default: Amounts
    default_request: Amounts


#: The LimitRanges of a control plane: those of each namespace in the order of their names.
Ranges = Mapping[str, list[list[Item]]]


class LimitRanger(Plugin):
    name = "LimitRanger"

    def __init__(self) -> None:
        self._ranges: Compiled[Ranges] = Compiled(LIMIT_RANGES, _compile)

    def concerns(self, attributes: Attributes) -> bool:
        info, subresource, operation = attributes.info, attributes.subresource, attributes.operation
        if info.group or info.resource not in (_PODS, _CLAIMS) or operation not in (Operation.CREATE, Operation.UPDATE):
            return False
        if info.resource == _CLAIMS:
            return not subresource
        return operation is Operation.CREATE if not subresource else subresource == "resize" and operation is Operation.UPDATE

    def admit(self, attributes: Attributes) -> None:
        if attributes.info.resource != _PODS:
            return
        for items in self._of(attributes):
            pod = attributes.object
            assert pod is not None  # creations and updates have a document
            if _fill_in(pod, items):
                attributes.mutated = True

    def validate(self, attributes: Attributes) -> None:
        problems = _pod_problems if attributes.info.resource == _PODS else _claim_problems
        for items in self._of(attributes):
            found = list(dict.fromkeys(problems(attributes.object, items)))
            if found:
                raise forbidden(attributes, found[0] if len(found) == 1 else f"[{', '.join(found)}]")

    def _of(self, attributes: Attributes) -> Iterable[list[Item]]:
        if attributes.old is not None and "deletionTimestamp" in attributes.old["metadata"]:
            return ()
        return self._ranges.of(attributes).get(attributes.namespace, ())


def _compile(documents: Iterable[Json]) -> Ranges:
    ranges: dict[str, list[list[Item]]] = {}
    for document in documents:
        limits = (document.get("spec") or {}).get("limits") or ()
        items = [
            Item(
                limit["type"],
                amounts(limit.get("min")),
                amounts(limit.get("max")),
                amounts(limit.get("maxLimitRequestRatio")),
                amounts(limit.get("default")),
                amounts(limit.get("defaultRequest")),
            )
            for limit in limits
        ]
        ranges.setdefault(document["metadata"]["namespace"], []).append(items)
    return ranges


def _fill_in(pod: Json, items: list[Item]) -> bool:
    """Give the containers the defaults that they lack; an annotation tells which."""
    defaults: dict[str, Amounts] = {"requests": {}, "limits": {}}
    for item in items:
        if item.type == "Container":
            defaults["requests"].update(item.default_request)
            defaults["limits"].update(item.default)
    notes = []
    for kind, title in _KINDS:
        for container in containers(pod, kind):
            for part, word in (("requests", "request"), ("limits", "limit")):
                given = (container.get("resources") or {}).get(part) or {}
                missing = {name: value for name, value in defaults[part].items() if name not in given}
                if missing:
                    container["resources"] = {**(container.get("resources") or {}), part: {**given, **written(missing)}}
                    notes.append(f"{', '.join(sorted(missing))} {word} for {title} {container.get('name', '')}")
    if notes:
        metadata = pod["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}
    return bool(notes)


def _pod_problems(pod: Json, items: list[Item]) -> Iterator[str]:
    for item in items:
        if item.type == "Container":
            for kind, _ in _KINDS:
                for container in containers(pod, kind):
                    yield from _problems(item, resources(container, "requests"), resources(container, "limits"))
        elif item.type == "Pod":
            yield from _problems(item, totals(pod, "requests"), totals(pod, "limits"))


def _claim_problems(claim: Json, items: list[Item]) -> Iterator[str]:
    """Of a claim only the request counts: its limits are not the user's word."""
    requests = resources(claim.get("spec") or {}, "requests")
    for item in items:
        if item.type != "PersistentVolumeClaim":
            continue
        for name, bound in sorted(item.min.items()):
            yield from _below(item.type, name, bound, requests, {})
        for name, bound in sorted(item.max.items()):
            text = f"maximum {name} usage per {item.type} is {bound}"
            if name not in requests:
                yield f"{text}.  No request is specified"
            elif _more(requests[name], bound):
                yield f"{text}, but request is {requests[name]}"


def _problems(item: Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in sorted(item.min.items()):
        yield from _below(item.type, name, bound, requests, limits)
    for name, bound in sorted(item.max.items()):
        yield from _above(item.type, name, bound, requests, limits)
    for name, bound in sorted(item.ratio.items()):
        yield from _too_far_apart(item.type, name, bound, requests, limits)


def _below(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    text = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{text}.  No request is specified"
    elif _more(bound, requests[name]):
        yield f"{text}, but request is {requests[name]}"
    elif name in limits and _more(bound, limits[name]):
        yield f"{text}, but limit is {limits[name]}"


def _above(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    text = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        yield f"{text}.  No limit is specified"
    elif _more(limits[name], bound):
        yield f"{text}, but limit is {limits[name]}"
    elif name in requests and _more(requests[name], bound):
        yield f"{text}, but request is {requests[name]}"


def _too_far_apart(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    text = f"{name} max limit to request ratio per {kind} is {bound}"
    request, limit = requests.get(name), limits.get(name)
    if request is None or not request.value:
        yield f"{text}, but no request is specified or request is 0"
    elif limit is None or not limit.value:
        yield f"{text}, but no limit is specified or limit is 0"
    elif (ratio := float(limit.value) / float(request.value)) > float(bound.value):
        yield f"{text}, but provided ratio is {ratio:f}"


def _more(left: Quantity, right: Quantity) -> bool:
    """Whether ``left`` is more, in thousandths (rounded up) where both are small enough for that."""
    if left.value <= _MAX_MILLI and right.value <= _MAX_MILLI:
        return (left.value * 1000).to_integral_value(ROUND_CEILING) > (right.value * 1000).to_integral_value(ROUND_CEILING)
    return left.value.to_integral_value(ROUND_CEILING) > right.value.to_integral_value(ROUND_CEILING)
