# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many independent pieces of work at once, none of which can stop the others.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")

DEFAULT_WORKERS: t.Final = 12


def run_all(work: t.Callable[[Item], Result], items: t.Sequence[Item], workers: int = DEFAULT_WORKERS) -> list[Result | KplaneError]:
    """The result of ``work`` for each item, in order, or the error that the collection can explain."""

    def one(item: Item) -> Result | KplaneError:
        try:
            return work(item)
        except KplaneError as exc:
            return exc

    if len(items) < 2 or workers < 2:
        return [one(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(workers, len(items))) as pool:
        return list(pool.map(one, items))
