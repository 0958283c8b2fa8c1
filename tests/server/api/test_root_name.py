# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another name of the root control plane (reference test T1): the same control plane, and a name that no other can have."""

from __future__ import annotations

from collections.abc import Callable

from support.objects import config_map
from support.server import GROUP, Server

MAPS = "/api/v1/namespaces/default/configmaps"
NAMED = ("--root-control-plane-name", "default")


def test_root_is_served_under_its_other_name_too(make_server: Callable[..., Server]) -> None:
    server = make_server("data", *NAMED).start()
    root = server.root
    named = root.at("default")
    named.post(MAPS, config_map("m")).ok()
    named.patch(f"{MAPS}/m", {"data": {"a": "b"}}).ok()
    for client in (root, root.at("root"), named):
        assert client.get(f"{MAPS}/m").ok()["data"]["a"] == "b"
    assert named.get("/readyz").code == 200
    (event,) = list(named.watch(f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dm&resourceVersion=0&timeoutSeconds=1"))
    assert event["object"]["metadata"]["name"] == "m"
    named.delete(f"{MAPS}/m").ok()
    root.get(f"{MAPS}/m").fails(404)
    # What is made under one name is administered under the other.
    body = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlane", "metadata": {"name": "default"}, "spec": {}}
    refused = named.post(f"{GROUP}/controlplanes", body).fails(422)
    assert "the name is reserved" in refused["message"]
    named.post(f"{GROUP}/controlplanes", {**body, "metadata": {"name": "other"}}).ok()
    server.wait_ready("other").get(MAPS).ok()


def test_without_it_the_name_is_as_any_other(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.root.at("default").get(MAPS).fails(404)
    server.create_vcp("default").get(MAPS).ok()
    assert server.stop() == 0
    server.options = NAMED
    assert server.spawn().wait(30) == 28
    assert "there is a virtual control plane 'default'; choose another name, or delete that one first" in server.log
