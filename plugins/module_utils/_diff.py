# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing what was declared with what is: only what the user said counts.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

Json = t.Dict[str, t.Any]


def patch_for(live: t.Any, declared: Json) -> Json:
    """The merge patch (RFC 7386) that makes the declared fields so; empty if they are.

    A declared ``None`` takes the field away. Lists are compared and replaced whole. Nothing undeclared is touched.
    """
    patch: Json = {}
    current = live if isinstance(live, dict) else {}
    for key, value in declared.items():
        if isinstance(value, dict):
            nested = patch_for(current.get(key), value)
            if nested:
                patch[key] = nested
        elif value is None:
            if current.get(key) is not None:
                patch[key] = None
        elif current.get(key) != value:
            patch[key] = value
    return patch


def select(live: t.Any, shape: Json) -> Json:
    """The part of ``live`` that ``shape`` has keys for: what a patch is going to replace."""
    current = live if isinstance(live, dict) else {}
    return {
        key: select(current.get(key), value) if isinstance(value, dict) else current.get(key)
        for key, value in shape.items()
        if key in current
    }


class Differences:
    """Named differences of one run, for the ``diff`` of the result."""

    def __init__(self) -> None:
        self.before: Json = {}
        self.after: Json = {}

    def add(self, name: str, before: t.Any, after: t.Any) -> None:
        """Record that ``name`` was ``before`` and is (or would be) ``after``; ``None`` stands for absent."""
        if before is not None:
            self.before[name] = before
        if after is not None:
            self.after[name] = after

    def as_result(self) -> Json:
        """The value of ``diff``."""
        return {"before": self.before, "after": self.after}
