# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kplane-server and the real kube-apiserver, side by side: the same requests, the same answers; what differs is known, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from components import KubeApiServer
from parity.cases import CASES
from scenario import Case, Known, Side, differing
from support.client import Client
from support.machine import ROOT
from support.server import Server, unique

KNOWN = [
    Known(case, tuple(places), entry["reason"])
    for entry in yaml.safe_load((Path(__file__).parent / "known_differences.yaml").read_text())
    for case, places in entry["cases"].items()
]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(tmp_path_factory.mktemp("plane") / "data")
    try:
        yield server.start(120).create_vcp("it")
    finally:
        server.stop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_answers(kube: KubeApiServer, plane: Client, case: Case) -> None:
    name = unique("same")
    sides = [Side(client, ns=name, id=name) for client in (kube.admin, plane)]
    try:
        found = differing(case, *sides)
    finally:
        for side in sides:
            side.close()
    known = [entry for entry in KNOWN if entry.case == case.name]
    unknown = [difference for difference in found if not any(entry.covers(difference) for entry in known)]
    assert not unknown, f"{case.name}\n" + "\n".join(map(str, unknown))
    gone = [entry for entry in known if not any(entry.covers(difference) for difference in found)]
    assert not gone, f"{case.name}: these differences are no more; take them out of known_differences.yaml: {gone}"


def test_known_differences_are_of_cases_that_there_are() -> None:
    assert {entry.case for entry in KNOWN} <= {case.name for case in CASES}


def test_the_page_names_every_difference() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text()
    assert {entry.reason for entry in KNOWN if f"- {entry.reason}\n" not in page} == set()
