# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _vcp, _wait
from ansible_collections.kplane.core.plugins.module_utils._client import WatchEvent
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANES
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, Expired, KplaneError, WaitFailed, WaitTimeout


def plane(name, ready="", accepted="True", reason="", message="", generation=1, observed=1):
    conditions = [{"type": "Accepted", "status": accepted, "reason": reason, "message": message}]
    if ready:
        conditions.append({"type": "Ready", "status": ready, "reason": reason, "message": message})
    return {"metadata": {"name": name, "generation": generation}, "status": {"observedGeneration": observed, "conditions": conditions}}


class Scripted:
    """A client that lists and watches what a test wrote down."""

    def __init__(self, lists, watches=()):
        self.lists = list(lists)
        self.watches = list(watches)
        self.calls = 0

    def list_all(self, resource, field_selector=""):
        self.calls += 1
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(found, KplaneError):
            raise found
        return found, "1"

    def watch(self, resource, version, timeout, field_selector=""):
        self.calls += 1
        events = self.watches.pop(0) if self.watches else []
        if not events:
            time.sleep(min(timeout, 0.02))
        for event in events:
            if isinstance(event, KplaneError):
                raise event
            yield event


def wait(client, names, timeout=5.0, check=_vcp.readiness):
    return _wait.wait_for(client, CONTROL_PLANES, names, check, timeout, "ready")


def test_what_is_ready_at_once_costs_one_list():
    client = Scripted([[plane("a", "True"), plane("b", "True"), plane("other", "False")]])
    outcome = wait(client, ["a", "b"])
    assert outcome.errors == {}
    assert client.calls == 1


def test_events_are_waited_for():
    client = Scripted(
        [[plane("a"), plane("b")]],
        [
            [
                WatchEvent("MODIFIED", plane("a", "True")),
                WatchEvent("BOOKMARK", {"metadata": {}}),
                WatchEvent("MODIFIED", plane("b", "True")),
            ]
        ],
    )
    outcome = wait(client, ["a", "b"])
    assert outcome.errors == {}
    assert client.calls == 2


def test_the_end_of_a_watch_is_not_the_end():
    client = Scripted([[plane("a")], [plane("a", "True")]])
    assert wait(client, ["a"]).errors == {}


def test_a_hopeless_one_ends_its_own_wait_only():
    client = Scripted(
        [[plane("a", "False", accepted="False", reason="ClassNotFound", message="there is no class x"), plane("b")]],
        [[WatchEvent("MODIFIED", plane("b", "True"))]],
    )
    started = time.monotonic()
    outcome = wait(client, ["a", "b"])
    assert time.monotonic() - started < 3
    assert set(outcome.errors) == {"a"}
    assert isinstance(outcome.errors["a"], WaitFailed)
    assert "ClassNotFound" in outcome.errors["a"].message
    assert "there is no class x" in outcome.errors["a"].message


def test_too_late_says_what_was_seen_last():
    client = Scripted([[plane("a", "False", reason="Bootstrapping", message="nearly there")]])
    outcome = wait(client, ["a"], 0.1)
    assert isinstance(outcome.errors["a"], WaitTimeout)
    assert "a was not ready within 0.1 seconds. Last seen: " in outcome.errors["a"].message
    assert "Ready=False (Bootstrapping)" in outcome.errors["a"].message
    assert outcome.errors["a"].message.count("nearly there") == 1, "conditions that say the same say it once"


def test_a_server_that_restarts_is_waited_for(monkeypatch):
    monkeypatch.setattr(_wait, "_RECONNECT_DELAY", 0.01)
    client = Scripted([[plane("a")], ConnectionFailed("gone"), [plane("a", "True")]], [[ConnectionFailed("gone")]])
    assert wait(client, ["a"]).errors == {}


def test_a_server_that_stays_away_is_named(monkeypatch):
    monkeypatch.setattr(_wait, "_RECONNECT_DELAY", 0.01)
    client = Scripted([ConnectionFailed("no route")])
    assert "could not be reached any more: no route" in wait(client, ["a"], 0.1).errors["a"].message


def test_a_history_that_is_gone_is_read_anew():
    client = Scripted([[plane("a")], [plane("a", "True")]], [[Expired("too old", code=410)]])
    assert wait(client, ["a"]).errors == {}


def existing(name, uid):
    return {"metadata": {"name": name, "uid": uid}}


def test_deletion_is_over_when_the_object_is_gone_or_another_one_has_its_name():
    client = Scripted(
        [[existing("a", "1"), existing("b", "2"), existing("c", "new")]],
        [[WatchEvent("DELETED", existing("a", "1")), WatchEvent("DELETED", existing("b", "2"))]],
    )
    assert wait(client, ["a", "b", "c"], check=_vcp.gone({"a": "1", "b": "2", "c": "3"})).errors == {}
    assert client.calls == 2


def test_deletion_that_does_not_end_is_said():
    client = Scripted([[existing("a", "1")]])
    assert isinstance(wait(client, ["a"], 0.1, check=_vcp.gone({"a": "1"})).errors["a"], WaitTimeout)


def test_one_that_vanishes_while_it_is_waited_for_is_hopeless():
    client = Scripted([[plane("a")]], [[WatchEvent("DELETED", plane("a"))]])
    assert "was deleted" in wait(client, ["a"]).errors["a"].message


@pytest.mark.parametrize(
    ("obj", "verdict"),
    [
        (plane("a", "True"), True),
        (plane("a", "False"), None),
        (plane("a"), None),
        (plane("a", "True", generation=2, observed=1), None),
        ({"metadata": {"name": "a"}}, None),
        ({"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, True),
    ],
)
def test_readiness(obj, verdict):
    assert _vcp.readiness("a", obj) is verdict


@pytest.mark.parametrize("reason", ["InvalidClusterPath", "ClassNotFound", "ModeNotSupported"])
def test_readiness_of_the_upstream_operator_can_be_hopeless_too(reason):
    obj = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "False", "reason": reason}]}}
    assert isinstance(_vcp.readiness("a", obj), WaitFailed)


def test_an_object_without_conditions_points_to_the_operator():
    assert "operator" in _wait.describe({"metadata": {}})
