# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kplane.core.plugins.filter.table import FilterModule

table = FilterModule().filters()["table"]


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [{"name": "a", "ready": True}, {"name": "longer", "ready": False, "age": None}]
    assert table(rows, {"NAME": "name", "READY": "ready", "AGE": "age"}) == [
        "NAME     READY   AGE",
        "a        yes     -",
        "longer   no      -",
    ]


def test_no_rows_are_headings_only():
    assert table([], {"NAME": "name"}) == ["NAME"]


@pytest.mark.parametrize(("rows", "columns"), [("text", {"A": "a"}), ([1], {"A": "a"}), ([], {}), ([], ["a"]), (None, {"A": "a"})])
def test_what_is_not_rows_is_refused(rows, columns):
    with pytest.raises(AnsibleFilterError):
        table(rows, columns)
