# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New authorities of the stack on the real etcd and kube-apiserver: parts with the Secrets of before and after a step verify each other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from components import Etcd, KubeApiServer, Secrets, program, settled


@dataclasses.dataclass
class Generation:
    """The Secrets after one step, and an etcd that was rolled for them."""

    secrets: Secrets
    etcd: Etcd

    def healthy_for(self, other: Generation) -> bool:
        """Whether a client with other Secrets and this etcd take each other for genuine."""
        mine, self.etcd.secrets = self.etcd.secrets, other.secrets
        try:
            return "true" in self.etcd.get(f"{self.etcd.url('2379')}/health", client=True)
        except OSError:
            return False
        finally:
            self.etcd.secrets = mine


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Generation]]:
    """Before; both are trusted; the new one signs; the old one is gone."""
    program("etcd")
    secrets = [settled()]
    secrets.append(settled(secrets[-1], ("certificate-authorities",), serving=False))
    secrets.append(settled(secrets[-1], serving=True))
    secrets.append(settled(secrets[-1], serving=True))
    made = [Generation(entry, Etcd(tmp_path_factory.mktemp("etcd"), entry)) for entry in secrets]
    try:
        for one in made:
            one.etcd.wait()
        yield made
    finally:
        for one in made:
            one.etcd.stop()


def test_each_step_meets_the_one_before(generations: list[Generation]) -> None:
    for one, other in itertools.pairwise(generations):
        assert one.healthy_for(one)
        assert one.healthy_for(other)
        assert other.healthy_for(one)
    assert generations[-1].healthy_for(generations[-1])


def test_without_the_first_step_they_would_not(generations: list[Generation]) -> None:
    before, _trusted, signed, over = generations
    assert not before.healthy_for(signed)
    assert not signed.healthy_for(before)
    assert not over.healthy_for(before)


def test_an_api_server_that_is_not_rolled_yet(generations: list[Generation], tmp_path: Path) -> None:
    """etcd has a certificate of the new authority already; users trust both, as their kubeconfigs say."""
    program("kube-apiserver")
    _before, trusted, signed, _over = generations
    server = KubeApiServer(tmp_path, trusted.secrets, signed.etcd)
    try:
        server.wait()
        assert server.admin.get("/api/v1/namespaces").code == 200
    finally:
        server.stop()
