# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uids are UUIDs as the standard library knows them."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.uids import derived_uid, random_uid


def test_random_uids_are_of_version_4_and_differ() -> None:
    uids = {random_uid() for _ in range(1000)}
    assert len(uids) == 1000
    assert all(uuid.UUID(uid).version == 4 and str(uuid.UUID(uid)) == uid and uuid.UUID(uid).variant == uuid.RFC_4122 for uid in uids)


@given(st.uuids(), st.text())
def test_derived_uids_are_of_version_5(space: uuid.UUID, text: str) -> None:
    assert derived_uid(space.bytes, text) == str(uuid.uuid5(space, text))
