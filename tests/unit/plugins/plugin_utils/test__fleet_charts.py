# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_charts as charts

WEB = {"name": "web", "chart_ref": "web", "release_namespace": "shop"}
API = {"name": "api", "chart_ref": "repo/api"}


def plan(declared, record, prune=False, again=False, base="/nowhere"):
    return charts.plan(declared, base, record, prune, again)


def test_from_nothing_to_recorded_and_no_more_to_do():
    first = plan([WEB, API], charts.read(""))
    assert (first.install, first.uninstall) == (True, ())
    assert first.during == charts.Record("", ("default/api", "shop/web"))
    kept = charts.read(first.after.text())
    assert kept == first.after
    assert plan([WEB, API], kept).nothing
    assert plan([WEB, API], kept, again=True).install
    assert not plan([{**WEB, "values": {"a": 1}}, API], kept).nothing


def test_a_release_that_is_no_longer_named_waits_for_the_word():
    kept = plan([WEB, API], charts.Record()).after
    without = plan([WEB], kept)
    assert without.uninstall == ()
    assert without.after.releases == ("default/api", "shop/web")
    assert plan([WEB], without.after).nothing
    pruned = plan([WEB], without.after, prune=True)
    assert (pruned.install, pruned.uninstall, pruned.after.releases) == (False, ("default/api",), ("shop/web",))
    assert plan([WEB], pruned.after, prune=True).nothing
    everything = plan([], pruned.after, prune=True)
    assert everything.uninstall == ("shop/web",)
    assert everything.after.text() is None


def test_a_run_that_was_interrupted_is_done_again_and_knows_its_releases():
    during = plan([WEB], charts.Record()).during
    assert plan([WEB], during).install
    assert plan([API], during, prune=True).uninstall == ("shop/web",)


def test_a_release_that_shall_be_absent_is_not_kept():
    kept = plan([WEB], charts.Record()).after
    assert plan([{**WEB, "release_state": "absent"}], kept).after.releases == ()


def test_the_files_of_a_chart_count(tmp_path):
    (tmp_path / "web" / "templates").mkdir(parents=True)
    file = tmp_path / "web" / "templates" / "a.yaml"
    file.write_text("a: 1\n")
    before = charts.fingerprint([WEB], str(tmp_path))
    assert charts.fingerprint([WEB], str(tmp_path)) == before
    file.write_text("a: 2\n")
    assert charts.fingerprint([WEB], str(tmp_path)) != before
    (tmp_path / "packed.tgz").write_bytes(b"x")
    packed = [{**WEB, "chart_ref": "packed.tgz"}]
    before = charts.fingerprint(packed, str(tmp_path))
    (tmp_path / "packed.tgz").write_bytes(b"y")
    assert charts.fingerprint(packed, str(tmp_path)) != before


@pytest.mark.parametrize("text", ["[]", "x", '{"releases": 3}', "null"])
def test_a_record_that_somebody_spoiled_counts_as_none(text):
    assert charts.read(text) == charts.Record()


def test_one_release_twice_is_refused():
    with pytest.raises(KplaneError, match="shop/web twice"):
        plan([WEB, WEB], charts.Record())
