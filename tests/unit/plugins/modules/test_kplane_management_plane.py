# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._providers.base import Drift, Plane
from ansible_collections.kplane.core.plugins.modules.kplane_management_plane import plan

RUNNING = Plane("embedded", "work", "embedded-work", True)
STOPPED = RUNNING._replace(running=False)
DRIFT = [Drift("port", 1, 2)]


@pytest.mark.parametrize(
    ("state", "recreate", "plane", "drift", "action", "left"),
    [
        ("present", "never", None, [], "created", []),
        ("present", "never", RUNNING, [], "none", []),
        ("present", "never", RUNNING, DRIFT, "none", DRIFT),
        ("present", "never", STOPPED, [], "started", []),
        ("present", "never", STOPPED, DRIFT, "started", DRIFT),
        ("present", "options-changed", RUNNING, [], "none", []),
        ("present", "options-changed", RUNNING, DRIFT, "recreated", []),
        ("present", "options-changed", STOPPED, DRIFT, "recreated", []),
        ("present", "always", RUNNING, [], "recreated", []),
        ("present", "always", None, [], "created", []),
        ("stopped", "never", RUNNING, DRIFT, "stopped", []),
        ("stopped", "never", STOPPED, [], "none", []),
        ("stopped", "never", None, [], "none", []),
        ("absent", "always", RUNNING, DRIFT, "deleted", []),
        ("absent", "never", STOPPED, [], "deleted", []),
        ("absent", "never", None, [], "none", []),
    ],
)
def test_what_is_to_be_done(state, recreate, plane, drift, action, left):
    assert plan(state, recreate, plane, drift) == (action, tuple(left))
