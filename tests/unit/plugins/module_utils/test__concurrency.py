# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest

from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError


def test_results_come_in_order_and_errors_in_their_place():
    def work(number):
        if number % 3 == 0:
            raise KplaneError(f"no {number}")
        return number

    results = run_all(work, range(10), 4)
    assert [str(result) if isinstance(result, KplaneError) else result for result in results] == [
        "no 0",
        1,
        2,
        "no 3",
        4,
        5,
        "no 6",
        7,
        8,
        "no 9",
    ]


def test_work_is_done_at_the_same_time():
    barrier = threading.Barrier(3, timeout=10)
    assert len(run_all(lambda unused: barrier.wait(), range(3), 3)) == 3


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_all(lambda number: 1 / number, [1, 0, 2], 2)


def test_nothing_is_nothing():
    assert run_all(lambda item: item, []) == []
