# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kplane-server backup`` and ``restore``: of a server that works, to a new directory, killed in the middle, with files that are none."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes_client
from support.client import Client
from support.kubectl import find, kubectl_for
from support.objects import config_map
from support.server import Server, kplane_server

MAPS = "/api/v1/namespaces/default/configmaps"
VCPS = 100


def run(command: str, data_dir: Path, file: Path, *options: str, fails: str = "", **kwargs: Any) -> dict[str, Any]:
    """A command of the server, and what it printed; with ``fails`` it has to fail for that reason."""
    argv = [*kplane_server(), command, "--data-dir", str(data_dir), "--file", str(file), "--output", "json", *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **kwargs)
    assert "Traceback" not in done.stderr
    assert (done.returncode != 0) == bool(fails), done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    if fails:
        assert document["error"]["reason"] == fails, document
        return document["error"]
    return document


class Writer(threading.Thread):
    """Writes to one control plane for as long as the test wants it to."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.acknowledged: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            name = f"w-{len(self.acknowledged)}"
            self.client.post(MAPS, config_map(name)).ok()
            self.acknowledged.append(name)


def test_a_backup_of_a_working_server_opens_everything_again_elsewhere(make_server: Callable[..., Server], tmp_path: Path) -> None:
    before = make_server("before").start()
    names = [f"v{number}" for number in range(VCPS)]
    with ThreadPoolExecutor(8) as pool:
        clients = dict(zip(names, pool.map(before.create_vcp, names), strict=True))
    uids = {name: clients[name].post(MAPS, config_map("kept", {"in": name})).ok()["metadata"]["uid"] for name in names}
    root, file = before.root, tmp_path / "backups" / "plane.zip"
    writer = Writer(clients["v0"])
    writer.start()
    while len(writer.acknowledged) < 20:
        time.sleep(0.01)
    written = list(writer.acknowledged)
    done = run("backup", before.data_dir, file)
    later = len(writer.acknowledged)
    while len(writer.acknowledged) == later:  # the backup stopped nobody
        assert writer.is_alive()
        time.sleep(0.01)
    writer.enough.set()
    writer.join()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["plane.zip"]
    assert (done["manifest"]["vcps"], done["manifest"]["plane"], done["manifest"]["provider"]) == (VCPS, "kplane-management", "embedded")
    seen = int(clients["v1"].get(MAPS).ok()["metadata"]["resourceVersion"])
    before.stop()
    shutil.rmtree(before.data_dir)

    after = Server(tmp_path / "after", before.port)
    assert run("restore", after.data_dir, file)["changed"]
    after.start()
    try:
        assert root.get("/api/v1/namespaces").code == 200
        for name, client in clients.items():
            found = client.get(f"{MAPS}/kept").ok()
            assert (found["metadata"]["uid"], found["data"]) == (uids[name], {"in": name})
        assert {name for name in written if clients["v0"].get(f"{MAPS}/{name}").code != 200} == set()
        assert int(clients["v1"].get(MAPS).ok()["metadata"]["resourceVersion"]) > seen
        assert int(clients["v1"].post(MAPS, config_map("new")).ok()["metadata"]["resourceVersion"]) > seen
        # Who goes on with a watch from before is told to list again, and is not left waiting for a revision of the past.
        assert clients["v1"].get(f"{MAPS}?watch=true&resourceVersion={seen}&timeoutSeconds=1").json["object"]["code"] == 410
        after.create_vcp("another")
        assert sorted(path.name for path in _published(clients["v2"])) == ["kept", "kube-root-ca.crt"]
        if find() is not None:  # else it is said elsewhere that there is no kubectl
            assert kubectl_for(clients["v3"], tmp_path)("get", "configmap", "kept", "-o", "jsonpath={.data.in}") == "v3"
    finally:
        after.kill()


def _published(client: Client) -> list[Any]:
    """What the published Python client lists with a credential from before."""
    configuration = kubernetes_client.Configuration(host=client.base)
    configuration.api_key = {"authorization": f"Bearer {client.token}"}
    with tempfile.NamedTemporaryFile("w") as ca:
        ca.write(client.ca)
        ca.flush()
        configuration.ssl_ca_cert = ca.name
        with kubernetes_client.ApiClient(configuration) as api:
            return [item.metadata for item in kubernetes_client.CoreV1Api(api).list_namespaced_config_map("default").items]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A stopped plane with three VCPs and something large in one of them, and its backup."""
    folder = tmp_path_factory.mktemp("saved")
    server = Server(folder / "data")
    server.start()
    try:
        clients = [server.create_vcp(name) for name in ("a", "b", "c")]
        noise = random.Random(1)
        for number in range(12):
            text = "".join(noise.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=400_000))
            clients[0].post(MAPS, config_map(f"large-{number}", {"noise": text})).ok()
    finally:
        server.stop()
    run("backup", server.data_dir, folder / "plane.zip")
    return server.data_dir, folder / "plane.zip"


def vcp(server: Server, name: str) -> Client:
    """The administrator of a restored VCP. Its Secret names the address from before until the operator comes by."""
    return replace(server.vcp(name), base=f"{server.url}/clusters/{name}/control-plane")


def digest(folder: Path) -> dict[str, bytes]:
    """Everything in a directory that a restore could change."""
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("lock", "-shm", "-wal"))
    }


def test_what_is_there_is_not_replaced_without_a_word(saved: tuple[Path, Path], make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.create_vcp("precious")
    error = run("restore", server.data_dir, saved[1], fails="AlreadyRunning")
    server.stop()
    before = digest(server.data_dir)
    for options in ((), ("--check",)):
        error = run("restore", server.data_dir, saved[1], *options, fails="NotEmpty")
        assert "1 virtual control planes" in error["message"]
    assert run("restore", server.data_dir, saved[1], "--check", "--force")["changed"]
    assert digest(server.data_dir) == before
    assert run("restore", server.data_dir, saved[1], "--force")["changed"]
    assert not run("restore", server.data_dir, saved[1])["changed"]
    assert not run("restore", server.data_dir, saved[1], "--check")["changed"]
    server.start()
    assert sorted(vcp(server, "a").get(f"{MAPS}/large-0").ok()["data"]) == ["noise"]
    assert server.root.get("/clusters/precious/control-plane/version").code == 404


def test_revisions_go_on_where_the_replaced_plane_was(saved: tuple[Path, Path], make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    for number in range(40):
        last = int(server.root.post(MAPS, config_map(f"n{number}")).ok()["metadata"]["resourceVersion"])
    server.stop()
    run("restore", server.data_dir, saved[1], "--force")
    server.start()
    assert int(server.root.get(MAPS).ok()["metadata"]["resourceVersion"]) > last


def rewritten(file: Path, target: Path, **changes: Any) -> Path:
    """The archive with another manifest."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, json.dumps(json.loads(content) | changes) if name == "manifest.json" else content)
    return target


def test_files_that_are_no_backup_change_nothing(saved: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad, plane = saved[1].read_bytes(), tmp_path / "bad.zip", tmp_path / "plane"

    def refused(reason: str, words: str) -> None:
        error = run("restore", plane, bad, fails=reason)
        assert words in error["message"], error
        # Nor does a backup overwrite what is not one.
        assert run("backup", saved[0], bad, fails="BackupUnusable")["message"].startswith(f"{bad} is there")
        assert not (plane / "store.db").exists()
        assert not (plane / "restoring").exists()

    assert "there is no backup file" in run("restore", plane, bad, fails="BackupUnusable")["message"]
    bad.write_text("dear diary")
    refused("BackupUnusable", "is not a backup of kplane")
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    refused("BackupUnusable", "has no manifest.json")
    for length in (30, len(good) // 2, len(good) - 1):
        bad.write_bytes(good[:length])
        refused("BackupUnusable", "damaged or was cut off")
    assert not plane.exists() or not any(path.name != "start.lock" for path in plane.iterdir() if path.name != "lock")
    rewritten(saved[1], bad, content="kplane stack", provider="kind")
    refused("BackupUnusable", "provider kind")
    rewritten(saved[1], bad, files={})
    error = run("restore", plane, bad, fails="BackupUnusable")
    assert "lacks" in error["message"]
    bad.unlink()
    rewritten(saved[1], bad, format=99)
    error = run("restore", plane, bad, fails="BackupNewer")
    assert "use a newer kplane-server" in error["message"]


def test_a_flipped_bit_is_found(saved: tuple[Path, Path], tmp_path: Path) -> None:
    plane, bad = tmp_path / "plane", tmp_path / "bad.zip"
    content = bytearray(saved[1].read_bytes())
    content[len(content) // 3] ^= 0x10
    bad.write_bytes(content)
    for options in ((), ("--check",)):
        assert "damaged or was cut off" in run("restore", plane, bad, *options, fails="BackupUnusable")["message"]
    assert not (plane / "store.db").exists()
    assert not (plane / "restoring").exists()


def few_bytes() -> None:
    """No file of the process may grow beyond this: what the kernel then says is what a full disk says, for one process only."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


def test_a_full_disk_leaves_nothing_half_written(saved: tuple[Path, Path], tmp_path: Path) -> None:
    data_dir, good = saved
    file = tmp_path / "plane.zip"
    for _ in range(2):
        error = run("backup", data_dir, file, fails="BackupFailed", preexec_fn=few_bytes)
        assert "nothing was changed" in error["message"]
        assert list(tmp_path.iterdir()) == []
    plane = tmp_path / "plane"
    error = run("restore", plane, good, fails="RestoreFailed", preexec_fn=few_bytes)
    assert "the disk is full" in error["message"]
    assert sorted(path.name for path in plane.iterdir()) == ["lock", "start.lock"]
    assert run("restore", plane, good)["changed"]


@pytest.mark.parametrize("turn", range(4))
def test_kill_9_of_a_restore_leaves_the_plane_as_before_or_restored(
    saved: tuple[Path, Path], make_server: Callable[..., Server], turn: int
) -> None:
    server = make_server().start()
    server.create_vcp("before")
    server.stop()
    argv = [*kplane_server(), "restore", "--data-dir", str(server.data_dir), "--file", str(saved[1]), "--force"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _kill_at(process, server.data_dir, turn)
    server.start()
    found = {item["metadata"]["name"] for item in server.root.get("/apis/controlplane.kplane.dev/v1alpha1/controlplanes").ok()["items"]}
    assert found in ({"before"}, {"a", "b", "c"})
    for name in found:
        assert vcp(server, name).get("/api/v1/namespaces").code == 200
    server.stop()
    run("restore", server.data_dir, saved[1], "--force")
    assert not (server.data_dir / "restoring").exists()
    assert not (server.data_dir / "restored").exists()
    server.start()
    assert vcp(server, "c").get("/api/v1/namespaces").code == 200


def _kill_at(process: subprocess.Popen[bytes], folder: Path, turn: int) -> None:
    """Kill at one of the moments that matter: while it unpacks, when all is unpacked, when the files are being moved."""
    moments: list[Callable[[], bool]] = [
        lambda: (folder / "restoring").exists(),
        lambda: (folder / "restoring" / "store.db").exists(),
        lambda: (folder / "restoring" / "restore.json").exists(),
        lambda: (folder / "restored").exists(),
    ]
    reached = moments[turn]
    while process.poll() is None and not reached():
        pass
    process.kill()
    process.wait()


@pytest.mark.parametrize("done", [0, 2, 5])
def test_the_last_step_of_a_restore_goes_on_where_it_was(saved: tuple[Path, Path], make_server: Callable[..., Server], done: int) -> None:
    """Every state that a crash between two renames can leave is completed by the next start of the server."""
    from kplane_server.process import restored

    server = make_server()
    run("restore", server.data_dir, saved[1])
    ready = server.data_dir / restored.RESTORED
    ready.mkdir()
    record = json.loads((server.data_dir / restored.RECORD).read_bytes())
    for name in record["puts"][done:]:  # these were not moved yet
        (server.data_dir / name).rename(ready / name)
    (server.data_dir / restored.RECORD).rename(ready / restored.RECORD)
    if done >= 1 and "store.db" not in record["puts"][:done]:
        (server.data_dir / "store.db").write_bytes(b"of the plane before")
        (server.data_dir / "store.db-wal").write_bytes(b"of the plane before")
    server.start()
    assert vcp(server, "b").get("/api/v1/namespaces").code == 200
    assert not ready.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_a_restore_by_root_belongs_to_the_owner_of_the_directory(saved: tuple[Path, Path], tmp_path: Path) -> None:
    plane = tmp_path / "plane"
    plane.mkdir()
    os.chown(plane, 12345, 23456)
    run("restore", plane, saved[1])
    strangers = [path.name for path in plane.rglob("*") if (path.stat().st_uid, path.stat().st_gid) != (12345, 23456)]
    assert strangers == ["start.lock"]  # of those who start and stop


def test_kill_9_of_a_backup_leaves_the_one_before(saved: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "plane.zip"
    first = run("backup", saved[0], file)["manifest"]["id"]
    for turn in range(4):
        process = subprocess.Popen(
            [*kplane_server(), "backup", "--data-dir", str(saved[0]), "--file", str(file)], stdout=subprocess.DEVNULL
        )
        while process.poll() is None and not (tmp_path / ".plane.zip.partial" / ("lock", "store.db", "archive", "archive")[turn]).exists():
            pass
        process.kill()
        process.wait()
        assert run("restore", tmp_path / f"plane{turn}", file)["manifest"]["id"] == first
    assert run("backup", saved[0], file)["manifest"]["id"] != first
    assert not (tmp_path / ".plane.zip.partial").exists()
