# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick way writes what the careful way would, and steps aside where a control plane is not of the common sort."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import KPLANE, World

from kplane_server.controllers.quickstart import MAX_NAME_LENGTH, QuickStart
from kplane_server.controllers.resolution import terms

#: What differs from one run to the next, in any object.
VARYING = ("uid", "creationTimestamp", "resourceVersion", "managedFields")


def shape(world: World, name: str, owner: str) -> dict[tuple[str, str, str], Any]:
    """Everything in root that belongs to a control plane, without what differs by chance."""
    found: dict[tuple[str, str, str], Any] = {}
    for kind in ("ControlPlane", "ControlPlaneEndpoint", "Namespace", "ServiceAccount", "ConfigMap", "Secret"):
        info = world.info(kind)
        for item in world.api().list(info).items:
            if name in item.key.name or name in item.key.namespace:
                document = world.read(kind, item.key.name, item.key.namespace)
                for field in VARYING:
                    document["metadata"].pop(field, None)
                found[kind, item.key.namespace, item.key.name] = document
    for document in found.values():
        for reference in document["metadata"].get("ownerReferences") or ():
            assert reference.pop("uid") == owner
        document["metadata"].pop("annotations" if document["kind"] == "Secret" else "", None)
        if document["kind"] == "Secret":
            document["data"] = sorted(document["data"])
    return found


async def test_both_ways_lead_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    for quick in (True, False):
        world = World()
        if not quick:
            monkeypatch.setattr(QuickStart, "applies", lambda *_: False)
        await world.start()
        made = await world.control_plane("demo", {"classRef": {"name": "starter"}})
        await world.settle()
        before = world.store.revision
        await world.restart()
        await world.settle()
        assert world.store.revision == before  # either way, there is nothing to correct
        shapes.append(shape(world, "demo", made["metadata"]["uid"]))
        await world.stop()
    for document in shapes[0].values():
        for condition in (document.get("status") or {}).get("conditions") or ():
            assert condition["lastTransitionTime"]
    assert _timeless(shapes[0]) == _timeless(shapes[1])


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key != "lastTransitionTime"}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "change",
    [
        {"status": {}},
        {"spec": {"endpointRef": {"name": "e"}}},
        {"spec": {"virtual": {"clusterPath": "other"}}},
        {"metadata": {"name": "x" * (MAX_NAME_LENGTH + 1)}},
        {"metadata": {"generation": 2}},
        {"metadata": {"finalizers": []}},
        {"metadata": {"annotations": {"controlplane.kplane.dev/incarnation": "u"}}},
    ],
)
def test_what_is_not_of_the_common_sort(change: dict[str, Any]) -> None:
    world = World()
    quick = QuickStart(world.plane, world.clock)
    metadata = {"name": "demo", "uid": "u", "generation": 1, "finalizers": ["controlplane.kplane.dev/finalizer"]}
    document: dict[str, Any] = {"apiVersion": KPLANE, "kind": "ControlPlane", "metadata": metadata, "spec": {}}
    assert quick.applies(document, terms(document, None))
    for part, fields in change.items():
        document[part] = {**document.get(part, {}), **fields}
    assert not quick.applies(document, terms(document, None))


async def test_a_long_name_has_a_namespace_all_the_same() -> None:
    world = World()
    await world.start()
    name = "x" * 63
    made = await world.control_plane(name)
    assert made["status"]["kubeconfigSecretRef"]["namespace"].startswith("kplane-cp-xxx")
    assert world.read("Secret", f"controlplane-{name}-kubeconfig", made["status"]["kubeconfigSecretRef"]["namespace"])
    await world.stop()
