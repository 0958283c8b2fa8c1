# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists, and the state that a watch begins with, that are read in several steps, through the front door."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from support.client import Client
from support.objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def test_a_list_of_more_than_one_step(vcp: Client) -> None:
    """A long list is read in steps; as JSON, as a Table and with a selector it has everything, once; so has a watch."""
    names = [f"long{number:04}" for number in range(1_100)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: vcp.post(MAPS, config_map(name, labels={"long": ""})).ok(), names))
    for path in (
        f"{MAPS}?labelSelector=long",
        f"{MAPS}?labelSelector=long&limit=1050",
        "/api/v1/configmaps",
        "/api/v1/configmaps?limit=1050",
    ):
        items = vcp.get(path).ok()["items"]
        found = [item["metadata"]["name"] for item in items if item["metadata"]["name"] in set(names)]
        assert found == names[: len(found)]
        assert len(found) == len(names) or len(items) == 1_050
    table = vcp.get(MAPS, Accept=TABLE).ok()
    assert [row["cells"][0] for row in table["rows"] if row["cells"][0].startswith("long")] == names
    whole = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=2"
    stream = vcp.get(f"{MAPS}?watch=true&labelSelector=long&{whole}")
    events = [json.loads(line) for line in stream.body.splitlines()]
    assert [event["object"]["metadata"].get("name") for event in events[: len(names)]] == names
    assert [event["type"] for event in events[len(names) :]][:1] == ["BOOKMARK"]
