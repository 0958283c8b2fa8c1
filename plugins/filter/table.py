# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter kplane.core.table: a list of mappings as lines of text in columns."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: table
short_description: Lay a list of mappings out in columns
description:
  - Turns a list of mappings into lines of text, for people to read. The first line holds the headings.
positional: columns
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: The columns, in their order. Keys are headings, values are the key in each row.
    type: dict
    required: true
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: Show the virtual control planes
  ansible.builtin.debug:
    msg: "{{ vcps | kplane.core.table({'NAME': 'name', 'READY': 'ready'}) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

_GAP = "   "


def cell(value: t.Any) -> str:
    """One value as people read it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())


def table(rows: t.Any, columns: t.Any) -> list[str]:
    """The rows, with headings, each column as wide as its widest cell."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(row, Mapping) for row in rows):
        raise AnsibleFilterError("kplane.core.table takes a list of mappings")
    if not isinstance(columns, Mapping) or not columns:
        raise AnsibleFilterError("kplane.core.table needs columns: a mapping of headings to keys")
    lines = [[str(heading) for heading in columns]] + [[cell(row.get(key)) for key in columns.values()] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return [_GAP.join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"table": table}
