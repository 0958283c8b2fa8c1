# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig, _kubeconfig_files, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, LockTimeout

DEMO = _kubeconfig.EntrySet("kplane-demo", {"server": "https://demo"}, {"token": "secret-demo"}, "embedded-work", "demo")
OTHER = _kubeconfig.EntrySet("kind-x", {"server": "https://x"}, {"token": "secret-x"}, "", "")


def write(path, *entries, current=""):
    document = _kubeconfig.empty()
    for entry in entries:
        document = _kubeconfig.merge(document, entry)
    path.write_bytes(_yaml.dump({**document, "current-context": current}))
    return str(path)


def files(*paths, **options):
    return _kubeconfig_files.KubeconfigFiles([str(path) for path in paths], **options)


def test_the_files_that_are_meant(own_home):
    home = str(own_home)
    assert _kubeconfig_files.user_paths(None, {}) == [home + "/.kube/config"]
    assert _kubeconfig_files.user_paths(None, {"KUBECONFIG": "~/a::/b:~/a"}) == [home + "/a", "/b"]
    assert _kubeconfig_files.user_paths("~/mine", {"KUBECONFIG": "/b"}) == [home + "/mine"]


def test_a_new_file_is_private_and_holds_what_was_put(tmp_path):
    path = tmp_path / "kube" / "config"
    files(path).change(lambda now: now.put(DEMO))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files(path).read().find("users", "kplane-demo") == {"token": "secret-demo"}
    assert os.listdir(path.parent) == ["config"]


def test_nothing_is_written_when_nothing_changes(tmp_path):
    path = tmp_path / "config"
    write(path, DEMO, OTHER, current="kind-x")
    before = path.stat()
    (tmp_path / "config.lock").write_text("")  # not even the lock is needed
    files(path, lock_timeout=0.1).change(lambda now: now.put(DEMO))
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_nothing_is_written_in_a_dry_run(tmp_path):
    path = tmp_path / "config"
    before, after = files(path).change(lambda now: now.put(DEMO), dry_run=True)
    assert not path.exists()
    assert _kubeconfig_files.altered(before, after) == [str(path)]


def test_the_first_file_that_has_an_entry_wins_and_is_the_one_that_is_changed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, OTHER)
    write(two, DEMO, OTHER._replace(cluster={"server": "https://shadowed"}))
    assert files(one, two).read().find("clusters", "kind-x") == {"server": "https://x"}
    untouched = one.read_bytes()
    files(one, two).change(lambda now: now.put(DEMO._replace(user={"token": "new"})))
    assert one.read_bytes() == untouched
    assert files(two).read().find("users", "kplane-demo") == {"token": "new"}


def test_a_new_entry_goes_to_the_first_file_that_exists_else_to_the_last(tmp_path):
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    files(one, two, three).change(lambda now: now.put(DEMO))
    assert [path.exists() for path in (one, two, three)] == [False, False, True]
    write(two, OTHER)
    files(one, two, three).change(lambda now: now.put(DEMO._replace(name="kplane-new")))
    assert "kplane-new" in files(two).read().contexts()


def test_the_current_context_is_set_where_it_is_set(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, OTHER)
    write(two, DEMO, current="kplane-demo")
    files(one, two).change(lambda now: now.set_current("kind-x"))
    assert files(one).read().current_context() == ""
    assert files(one, two).read().current_context() == "kind-x"


def test_removing_takes_an_entry_out_of_every_file_and_leaves_the_rest(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, DEMO, OTHER, current="kplane-demo")
    write(two, DEMO)
    files(one, two).change(lambda now: now.remove("kplane-demo"))
    after = files(one, two).read()
    assert after.contexts() == ["kind-x"]
    assert after.current_context() == ""
    assert not two.exists(), "nothing else was in it"


@pytest.mark.parametrize("content", [b"a: [", b"[]", b"kind: Pod", b"\xff\xff", b"clusters: {}"])
def test_a_file_that_cannot_be_understood_is_never_overwritten(tmp_path, content):
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(KplaneError, match=str(path)):
        files(path).change(lambda now: now.put(DEMO))
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "config").mkdir()
    with pytest.raises(KplaneError, match="Cannot read"):
        files(tmp_path / "config").change(lambda now: now.put(DEMO))


def test_a_lock_of_kubectl_is_respected(tmp_path):
    path = tmp_path / "config"
    content = write(path, OTHER)
    (tmp_path / "config.lock").write_text("")
    with pytest.raises(LockTimeout):
        files(path, lock_timeout=0.1).change(lambda now: now.put(DEMO))
    assert files(content).read().contexts() == ["kind-x"]


def test_what_was_written_meanwhile_is_kept(tmp_path):
    """The change is computed again under the lock, from what the file holds then."""
    path = tmp_path / "config"
    write(path, OTHER)
    calls = []

    def change(now):
        calls.append(now)
        if len(calls) == 1:
            write(path, OTHER, OTHER._replace(name="kind-y"))
        return now.put(DEMO)

    files(path).change(change)
    assert files(path).read().contexts() == ["kind-x", "kind-y", "kplane-demo"]


def test_ours_are_known_by_their_mark(tmp_path):
    path = tmp_path / "config"
    write(path, DEMO, DEMO._replace(name="kplane-far", plane="embedded-far"))
    document = _kubeconfig.set_entry(files(path).read().merged(), "contexts", "kplane-theirs", {"cluster": "c", "user": "u"})
    path.write_bytes(_yaml.dump(document))
    assert files(path).read().owned("embedded-work") == ["kplane-demo"]


def test_a_diff_shows_no_secret(tmp_path):
    path = tmp_path / "config"
    write(path, OTHER)
    before, after = files(path).change(lambda now: now.put(DEMO), dry_run=True)
    diff = _kubeconfig_files.unified(before, after)
    assert "kplane-demo" in diff["after"]
    assert "secret-" not in diff["before"] + diff["after"]


def test_files_that_are_named_are_found_from_anywhere(tmp_path):
    one, two = tmp_path / "one" / "config", tmp_path / "two" / "config"
    for path, name in ((one, "kind-x"), (two, "kind-y")):
        path.parent.mkdir()
        write(path, _kubeconfig.EntrySet(name, {"server": "https://x", "certificate-authority": "ca.pem"}, {"tokenFile": "/abs/t"}, ""))
    merged = files(one, two).read().merged()
    assert _kubeconfig.find(merged, "clusters", "kind-x")["certificate-authority"] == str(tmp_path / "one" / "ca.pem")
    assert _kubeconfig.find(merged, "clusters", "kind-y")["certificate-authority"] == str(tmp_path / "two" / "ca.pem")
    assert _kubeconfig.find(merged, "users", "kind-y")["tokenFile"] == "/abs/t"
