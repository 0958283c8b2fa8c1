# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kill -9`` at any instant: nothing acknowledged is lost, and no revision is used twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from support.client import Client
from support.objects import config_map
from support.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"


class Writer(threading.Thread):
    """Creates objects until the server goes away; remembers each name and revision that was acknowledged."""

    def __init__(self, client: Client, prefix: str) -> None:
        super().__init__(daemon=True)
        self.client, self.prefix = client, prefix
        self.acknowledged: dict[str, int] = {}

    def run(self) -> None:
        number = 0
        while True:
            name = f"{self.prefix}-{number}"
            number += 1
            try:
                answer = self.client.post(MAPS, config_map(name, {"n": name}))
            except (OSError, ValueError):
                return  # killed in the middle: not acknowledged
            if answer.code != 201:
                return
            self.acknowledged[name] = int(answer.json["metadata"]["resourceVersion"])


def test_kill_9_in_a_loop_under_load(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.create_vcp("a")
    expected: dict[str, int] = {}
    for turn in range(4):
        clients = [server.vcp("a"), server.root, server.vcp("a")]
        writers = [Writer(client, f"w{turn}-{at}") for at, client in enumerate(clients)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.3, 1.0))
        server.kill()
        for writer in writers:
            writer.join(10)
            assert not writer.is_alive()
        server.start()
        assert any(writer.acknowledged for writer in writers)
        found = {}
        for client in (server.vcp("a"), server.root):
            for item in client.get(MAPS).ok()["items"]:
                found[item["metadata"]["name"]] = int(item["metadata"]["resourceVersion"])
        for writer in writers:
            expected |= writer.acknowledged
        for name, revision in expected.items():
            assert found.get(name) == revision, f"{name} was acknowledged at {revision}"
    assert len(set(expected.values())) == len(expected)
    assert server.stop() == 0


def test_a_vcp_is_whole_after_a_kill_in_the_middle_of_its_making(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    for turn in range(3):
        names = [f"k{turn}-{number}" for number in range(30)]
        root = server.root

        def create(root: Client = root, names: list[str] = names) -> None:
            for name in names:
                body = {
                    "apiVersion": "controlplane.kplane.dev/v1alpha1",
                    "kind": "ControlPlane",
                    "metadata": {"name": name},
                    "spec": {"deletionPolicy": "Destroy"},
                }
                try:
                    root.post("/apis/controlplane.kplane.dev/v1alpha1/controlplanes", body)
                except OSError:
                    return

        thread = threading.Thread(target=create, daemon=True)
        thread.start()
        time.sleep(random.uniform(0.02, 0.15))
        server.kill()
        thread.join(10)
        server.start()
        made = [item["metadata"]["name"] for item in server.root.get("/apis/controlplane.kplane.dev/v1alpha1/controlplanes").ok()["items"]]
        for name in made:
            assert server.wait_ready(name).get("/api/v1/namespaces/default").code == 200
        for name in made:
            server.root.delete(f"/apis/controlplane.kplane.dev/v1alpha1/controlplanes/{name}")
        server.kill()
        server.start()
        for name in made:
            server.delete_vcp(name) if server.root.get(f"/apis/controlplane.kplane.dev/v1alpha1/controlplanes/{name}").code == 200 else None
            server.root.at(name).get("/api").fails(404)
