# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of VCPs asked from outside: each with the kubeconfig that was handed out for it, many at a time over a few connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from support.client import Client, Response
from support.server import client_of

AT_ONCE = 8


class Handed:
    """The kubeconfigs in a directory of credentials, as clients by the name of the VCP; each is read once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._clients: dict[str, Client] = {}

    def names(self) -> set[str]:
        """The VCPs that have a file now."""
        return {path.stem for path in self.directory.glob("*.kubeconfig")}

    def client(self, name: str) -> Client:
        """The user of a VCP, also after its file has been taken back."""
        if name not in self._clients:
            self._clients[name] = client_of((self.directory / f"{name}.kubeconfig").read_text(), yaml.CSafeLoader)
        return self._clients[name]

    def ask(self, names: Iterable[str], path: str) -> dict[str, Response]:
        """What each of the VCPs answers to a GET of ``path``, each asked as the user that was handed out for it."""
        clients = [(name, self.client(name)) for name in names]
        parts = [part for part in (clients[start::AT_ONCE] for start in range(AT_ONCE)) if part]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return {name: answer for answers in pool.map(lambda part: _ask_all(part, path), parts) for name, answer in answers}

    def codes(self, names: Iterable[str], path: str) -> set[int]:
        """The different codes among those answers."""
        return {answer.code for answer in self.ask(names, path).values()}


def _ask_all(clients: Sequence[tuple[str, Client]], path: str) -> list[tuple[str, Response]]:
    """One after the other over one connection: they are VCPs of one server."""
    connection = clients[0][1].connect()
    try:
        return [(name, client.over(connection, "GET", path)) for name, client in clients]
    finally:
        connection.close()
