# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about documents that are accepted: what has no effect any more, hides something else, or will be replaced soon.

A rule of a type applies wherever the type occurs, as checks and defaults do. On an update only what is new is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.registry.strategies.base import Document
from kplane_server.registry.strategies.checks import Object, join, objects, section
from kplane_server.registry.strategies.typewalk import Planner, walk

Rule = Callable[[Object, str], Iterable[str]]

#: More headers than this help nobody.
MAX_WARNINGS: Final = 50

#: Volume source → since when it does nothing.
_VOLUMES: Final = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}

#: Node label → what to say about a selector that names it.
_NODE_LABELS: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}


def container(obj: Object, path: str) -> Iterator[str]:
    seen: set[Json] = set()
    for index, variable in enumerate(objects(obj, "env")):
        name = variable.get("name")
        if name in seen and f"$({name})" not in str(variable.get("value") or ""):
            at = f"{join(path, 'env')}[{index}]"
            yield f'{at}: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)
    ports: dict[tuple[Json, Json], int] = {}
    for index, port in enumerate(objects(obj, "ports")):
        key = (port.get("containerPort"), port.get("protocol"))
        if key in ports:
            at = f"{join(path, 'ports')}"
            yield f"{at}[{index}]: duplicate port definition with {at}[{ports[key]}]"
        ports.setdefault(key, index)


def pod_spec(obj: Object, path: str) -> Iterator[str]:
    for key in section(obj, "nodeSelector"):
        if key in _NODE_LABELS:
            yield f"{join(path, 'nodeSelector')}[{key}]: {_NODE_LABELS[key]}"
    seconds = obj.get("terminationGracePeriodSeconds")
    if isinstance(seconds, int) and seconds < 0:
        at = join(path, "terminationGracePeriodSeconds")
        yield f"{at}: must be >= 0; negative values are invalid and will be treated as 1"
    seen: set[Json] = set()
    for index, reference in enumerate(objects(obj, "imagePullSecrets")):
        name, at = reference.get("name") or "", f"{join(path, 'imagePullSecrets')}[{index}].name"
        if not name:
            yield f'{at}: invalid empty name ""'
        elif name in seen:
            yield f'{at}: duplicate name "{name}"'
        seen.add(name)


def volume(obj: Object, path: str) -> Iterator[str]:
    for source, text in _VOLUMES.items():
        if obj.get(source) is not None:
            yield f"{join(path, source)}: {text}"


def topology_spread(obj: Object, path: str) -> Iterator[str]:
    if obj.get("labelSelector") is None:
        yield f"{join(path, 'labelSelector')}: a null labelSelector results in matching no pod"


def claim_spec(obj: Object, path: str) -> Iterator[str]:
    storage = section(obj, "resources", "requests").get("storage")
    if isinstance(storage, str) and storage.endswith("m"):
        yield f'{join(path, "resources", "requests")}[storage]: fractional byte value "{storage}" is invalid, must be an integer'


RULES: Final[dict[str, Rule]] = {
    "core.v1.Container": container,
    "core.v1.PersistentVolumeClaimSpec": claim_spec,
    "core.v1.PersistentVolumeSpec": volume,
    "core.v1.PodSpec": pod_spec,
    "core.v1.TopologySpreadConstraint": topology_spread,
    "core.v1.Volume": volume,
}

_PLANNER: Final[Planner[Rule]] = Planner(RULES.get)


def warnings_of(type_name: str, new: Document, old: Document | None) -> list[str]:
    """The texts for a document of a type that are not true of ``old`` already."""
    known = set(_texts(type_name, old)) if old is not None else set()
    return [text for text in _texts(type_name, new) if text not in known][:MAX_WARNINGS]


def _texts(type_name: str, obj: Document) -> Iterator[str]:
    for rule, value, path in walk(_PLANNER.plan(type_name), obj):
        yield from rule(value, path)
