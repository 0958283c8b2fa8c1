# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process and its surroundings: ports, data directories, two at once, an orderly end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.client import eventually
from support.objects import config_map
from support.server import Server, free_port, kplane_server

MAPS = "/api/v1/namespaces/default/configmaps"


def ends_with_error(server: Server, seconds: float = 20.0) -> str:
    """Start a server that must refuse, and return what it said."""
    process = server.spawn()
    assert process.wait(seconds) not in (0, None)
    assert "Traceback" not in server.log
    return server.log


def test_a_busy_port_is_named(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        said = ends_with_error(server)
    assert str(server.port) in said
    assert "in use" in said


def test_one_data_directory_one_server(make_server: Callable[..., Server], tmp_path: Path) -> None:
    first = make_server().start()
    second = Server(first.data_dir)
    assert second.port != first.port
    process = subprocess.run(
        [*kplane_server(), "run", "--data-dir", str(first.data_dir), "--port", str(second.port)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert process.returncode != 0
    assert str(first.data_dir) in process.stderr
    assert str(first.process.pid if first.process else "") in process.stderr
    assert first.root.get("/readyz").code == 200


def test_a_stale_lock_does_not_matter(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.root.post(MAPS, config_map("kept")).ok()
    server.kill()
    server.start()
    assert server.root.get(f"{MAPS}/kept").code == 200


def test_a_foreign_directory_is_left_alone(make_server: Callable[..., Server], tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    server = make_server("foreign")
    said = ends_with_error(server)
    assert str(foreign) in said
    assert sorted(p.name for p in foreign.iterdir()) == ["thesis.txt"]


def test_a_newer_data_directory_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    assert server.stop() == 0
    marker = [p for p in server.data_dir.iterdir() if p.is_file() and p.stat().st_size < 4096 and b"format" in p.read_bytes()]
    assert len(marker) == 1, marker
    text = marker[0].read_text()
    digits = "".join(c for c in text if c.isdigit())
    assert digits
    marker[0].write_text(text.replace(digits[0], "9999", 1))
    assert "newer" in ends_with_error(server)


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root writes everywhere, and there is no setpriv")
def test_a_read_only_data_directory_is_a_clear_error(tmp_path: Path) -> None:
    parent = tmp_path / "locked"
    parent.mkdir(mode=0o555)
    command = [*kplane_server(), "run", "--data-dir", str(parent / "data"), "--port", str(free_port())]
    if os.geteuid() == 0:
        # As root every directory is writable: drop to a user for whom it is not, if the interpreter can be read by it.
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        readable = subprocess.run([*command[:4], *kplane_server(), "version"], capture_output=True, check=False)
        if readable.returncode != 0:
            pytest.skip("the interpreter is not readable by another user on this machine")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert str(parent) in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_watches_and_keeps_everything(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    stream = server.root.watch(f"{MAPS}?watch=1&resourceVersion=0", seconds=20)
    assert next(stream)["type"] == "ADDED"
    server.root.post(MAPS, config_map("last")).ok()
    assert server.stop() == 0
    assert [event["object"]["metadata"]["name"] for event in stream if event["type"] == "ADDED"][-1:] == ["last"]
    server.start()
    assert server.root.get(f"{MAPS}/last").code == 200


def test_the_data_directory_is_private(server: Server) -> None:
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    for path in server.data_dir.rglob("*"):
        allowed = 0o055 if path.suffix == ".crt" else 0  # certificates are public
        assert path.stat().st_mode & 0o077 & ~allowed == 0, path


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    command = [*kplane_server(), "run", "--data-dir", str(server.data_dir), "--port", str(server.port)]
    started = f"subprocess.Popen({command!r} + ['--parent-pid', str(os.getpid())])"
    script = f"import os, subprocess, time; print({started}.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([kplane_server()[0], "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        while not server._ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
    eventually(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2], 15)
