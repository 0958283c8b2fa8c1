# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply against recordings of upstream's own field manager: documents, owners, times and errors must be the same."""

from __future__ import annotations

import copy
import functools
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from kplane_server.model.errors import ApiError
from kplane_server.schema.apply.managers import LAST_APPLIED, apply, update
from kplane_server.schema.structural import Definitions, Schema

RECORDINGS = Path(__file__).parent / "upstream" / "recordings.json.xz"
CASES = 250


@functools.cache
def recordings() -> tuple[Schema, list[dict[str, Any]]]:
    found = json.loads(lzma.decompress(RECORDINGS.read_bytes()))
    return Definitions(found["schemas"].__getitem__, typed=False).named("T"), found["cases"]


def test_nothing_recorded_is_left_out() -> None:
    assert len(recordings()[1]) == CASES


@pytest.mark.parametrize("number", range(CASES))
def test_sequence_of_writes(number: int) -> None:
    schema, cases = recordings()
    case = cases[number]
    live: Any = None
    for step, (write, answer) in enumerate(zip(case["writes"], case["answers"], strict=True)):
        now = f"2026-01-01T00:00:{step + 1:02d}Z"
        error = ""
        try:
            if write["verb"] == "apply":
                live = apply(live, write["object"], write["manager"], write["force"], schema, "g/v1", "", now)
            else:
                live = update(live, write["object"], write["manager"], schema, "g/v1", "", now)
        except ApiError as raised:
            error = raised.message
        assert bool(error) == bool(answer.get("error")), (step, error, answer.get("error"))
        if error.startswith("Apply failed"):  # upstream lists the managers in random order in one place
            assert sorted(error.splitlines()) == sorted(answer["error"].splitlines())
        assert comparable(live) == comparable(answer["live"]), step


def comparable(document: Any) -> Any:
    """A document with what may differ taken out: exact times, the text of a JSON annotation, empty metadata."""
    document = copy.deepcopy(document) or {"apiVersion": "g/v1", "kind": "T"}
    metadata = document.get("metadata") or {}
    metadata.pop("creationTimestamp", None)
    for entry in metadata.get("managedFields", ()):
        entry["time"] = bool(entry.get("time"))
    if "managedFields" in metadata:
        metadata["managedFields"].sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    annotations = metadata.get("annotations") or {}
    if LAST_APPLIED in annotations:
        annotations[LAST_APPLIED] = json.loads(annotations[LAST_APPLIED])
    if not metadata:
        document.pop("metadata", None)
    return document
