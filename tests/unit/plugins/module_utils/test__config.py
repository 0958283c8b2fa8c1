# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kplane.core.plugins.module_utils import _config, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import ConfigError, KplaneError

VALUES = st.recursive(
    st.text("ab", max_size=3) | st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=6
)
FIELDS = st.dictionaries(st.sampled_from(["provider", "clusterName", "embedded", "theirs"]), VALUES, max_size=4)


def test_where_the_file_is(own_home):
    assert _config.default_path({}) == str(own_home / ".config/kplane/config.yaml")
    assert _config.default_path({"XDG_CONFIG_HOME": "/c"}) == "/c/kplane/config.yaml"


def test_no_file_means_defaults_and_no_choice_of_a_provider(tmp_path):
    profile = _config.ConfigFile(str(tmp_path / "none.yaml")).profile()
    assert profile.provider == ""
    assert profile.cluster_name == "kplane-management"
    assert profile.values["images"]["etcd"].startswith("quay.io/")


def test_a_partial_profile_keeps_the_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("kind: KplaneConfig\nprofiles: {default: {provider: embedded, images: {etcd: mine}}}\n")
    profile = _config.ConfigFile(str(path)).profile()
    assert profile.provider == "embedded"
    assert profile.values["images"]["etcd"] == "mine"
    assert profile.values["images"]["apiserver"].startswith("docker.io/")


def test_unknown_fields_stay_and_only_what_changes_is_touched(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("kind: KplaneConfig\nfuture: [1]\nprofiles: {default: {provider: kind, theirs: {deep: x}}, work: {provider: k3s}}\n")
    _config.ConfigFile(str(path)).change(lambda document: _config.with_profile(document, "default", {"provider": "embedded"}))
    assert _yaml.load(path.read_bytes(), "x") == {
        "kind": "KplaneConfig",
        "future": [1],
        "profiles": {"default": {"provider": "embedded", "theirs": {"deep": "x"}}, "work": {"provider": "k3s"}},
    }


def test_a_file_that_says_it_already_is_not_written_again(tmp_path):
    path = tmp_path / "config.yaml"
    config = _config.ConfigFile(str(path))
    config.change(lambda document: _config.with_profile(document, "default", {"provider": "embedded"}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_mtime_ns
    config.change(lambda document: _config.with_profile(document, "default", {"provider": "embedded"}))
    assert path.stat().st_mtime_ns == before


def test_a_dry_run_writes_nothing(tmp_path):
    path = tmp_path / "config.yaml"
    before, after = _config.ConfigFile(str(path)).change(
        lambda document: _config.with_profile(document, "default", {"provider": "embedded"}), dry_run=True
    )
    assert before != after
    assert not path.exists()


@pytest.mark.parametrize("content", ["[]", "kind: Other", "apiVersion: config.kplane.io/v2", "profiles: []", "profiles: {a: 1}", "a: ["])
def test_what_is_not_a_configuration_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(KplaneError, match=str(path)):
        _config.ConfigFile(str(path)).change(lambda document: _config.with_profile(document, "default", {"provider": "embedded"}))
    assert path.read_text() == content


def test_a_profile_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("currentProfile: work\nprofiles: {home: {}}\n")
    with pytest.raises(ConfigError, match=r"no profile 'work' \(its profiles: home\)"):
        _config.ConfigFile(str(path)).profile()


@given(FIELDS, FIELDS)
def test_forgetting_undoes_remembering(said, fields):
    document = {**_config.new_document(), "profiles": {"default": said} if said else {}}
    remembered = _config.remember(document, "default", fields)
    forgotten = _config.forget(remembered, "default")
    profile = forgotten["profiles"].get("default") or {}
    assert set(profile) == set(said), "what was said before stays, what was remembered goes"
    assert _config.remember(remembered, "default", fields) == remembered


def test_the_file_goes_when_nothing_is_left_to_say(tmp_path):
    path = tmp_path / "kplane" / "config.yaml"
    config = _config.ConfigFile(str(path))
    config.change(lambda document: _config.remember(document, "default", {"provider": "embedded", "embedded": {"dataDir": "/d"}}))
    assert path.exists()
    config.change(lambda document: _config.forget(document, "default"))
    assert not path.exists()
    config.tidy()
    assert not path.parent.exists()
