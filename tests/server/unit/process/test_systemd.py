# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd units: their text, and the conversation with ``systemctl`` (here one that writes down what it hears)."""

from __future__ import annotations

import configparser
import json
import os
import sys
from pathlib import Path

import pytest

from kplane_server.process import supervise, systemd
from kplane_server.process.failures import ProcessError
from kplane_server.process.supervise import StartOptions
from kplane_server.process.systemd import Systemd, quote, render, unit_name

SAMPLE = Path(__file__).with_name("sample_server.py")

#: A systemctl that keeps one unit: it starts what the unit says, and stops it again.
SYSTEMCTL = """#!{python}
import json, os, re, signal, subprocess, sys
from pathlib import Path
here = Path({here!r})
words = [word for word in sys.argv[1:] if word != "--user"]
with (here / "heard").open("a") as heard:
    heard.write(json.dumps(sys.argv[1:]) + "\\n")
if (here / "broken").exists():
    sys.exit("Failed to connect to bus")
command, unit, pidfile = words[0], here / "config" / "systemd" / "user" / words[-1], here / "pid"
if command == "enable":
    line = re.search("^ExecStart=(.*)$", unit.read_text(), re.M)[1]
    arguments = [word.replace("$$", "$").replace("%%", "%") for word in re.findall('"([^"]*)"', line)]
    variable = re.search("^Environment=(.*)=(.*)$", unit.read_text(), re.M)
    process = subprocess.Popen(arguments, env={{**os.environ, variable[1]: variable[2]}}, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pidfile.write_text(str(process.pid))
    if (here / "fails").exists():
        (here / "code").write_text(str(process.wait()))
if command == "disable":
    if not (here / "code").exists():
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
    pidfile.unlink()
if command == "show":
    code = (here / "code").read_text() if (here / "code").exists() else "0"
    print("ActiveState=" + ("activating" if code != "0" else "active"))
    print("ExecMainStatus=" + code)
"""


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the user's systemctl is asked, one JSON list a line."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(SYSTEMCTL.format(python=sys.executable, here=str(tmp_path)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/nowhere")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(systemd, "run_command", lambda arguments: [sys.executable, str(SAMPLE), *arguments])
    return tmp_path / "heard"


def words(heard: Path) -> list[list[str]]:
    return [json.loads(line) for line in heard.read_text().splitlines()]


def test_a_life_under_systemd(tmp_path: Path, heard: Path) -> None:
    path = tmp_path / "100% data"
    options = StartOptions(path, (str(path),), 30.0, "auto")
    status, changed = supervise.start(options)
    unit = unit_name(path)
    try:
        assert changed
        assert status.state is not None
        assert status.state.supervisor == "systemd-user"
        assert Systemd(user=True).installed(path)
        assert words(heard)[:3] == [["--user", "show-environment"], ["--user", "daemon-reload"], ["--user", "enable", "--now", unit]]
        assert supervise.start(options) == (status, False)
    finally:
        assert supervise.stop(path) is True
    assert [line[1:] for line in words(heard)[-3:]] == [["disable", "--now", unit], ["daemon-reload"], ["reset-failed", unit]]
    assert not Systemd(user=True).installed(path)
    assert supervise.status(path).running is False
    assert supervise.stop(path) is False


def test_a_failure_under_systemd_leaves_no_unit(tmp_path: Path, heard: Path) -> None:
    (tmp_path / "fails").touch()
    path = tmp_path / "data"
    with pytest.raises(ProcessError) as caught:
        supervise.start(StartOptions(path, (str(path), "exit=14"), 30.0, "systemd"))
    assert caught.value.reason == "PortInUse"  # by the exit code that systemd remembers
    assert not Systemd(user=True).installed(path)


def test_a_systemd_that_does_not_answer(tmp_path: Path, heard: Path) -> None:
    (tmp_path / "broken").touch()
    assert systemd.find() is None
    with pytest.raises(ProcessError, match="systemctl --user daemon-reload failed: Failed to connect to bus"):
        Systemd(user=True).install(tmp_path, ["x"])


def test_without_a_user_session_there_is_no_user_manager(heard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert systemd.find() == Systemd(user=True)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert systemd.find() is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert systemd.find() is None


@pytest.mark.parametrize(("user", "account", "target"), [(False, "kplane", "multi-user.target"), (True, None, "default.target")])
def test_the_text_of_a_unit(user: bool, account: str | None, target: str) -> None:
    data_dir = Path("/var/lib/kplane 100%")
    text = render(data_dir, ["/opt/v/bin/python", "-m", "kplane_server", "run", f"--data-dir={data_dir}"], Systemd(user), account)
    unit = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert service["ExecStart"] == '"/opt/v/bin/python" "-m" "kplane_server" "run" "--data-dir=/var/lib/kplane 100%%"'
    assert service["Environment"] == f"KPLANE_SERVER_SUPERVISOR=systemd-{'user' if user else 'system'}"
    assert service["Restart"] == "on-failure"
    assert "14" not in service["RestartPreventExitStatus"].split()  # a port may become free
    assert {"10", "11", "13"} <= set(service["RestartPreventExitStatus"].split())
    assert service["NoNewPrivileges"] == "yes"
    assert service.get("User") == account
    assert service.get("ReadWritePaths") == (None if user else '"/var/lib/kplane 100%%"')
    assert unit["Install"]["WantedBy"] == target
    assert unit["Unit"]["Description"].endswith("kplane 100%%")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("a", '"a"'), ("a b", '"a b"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("50%", '"50%%"'), ("$HOME", '"$$HOME"'), ("", '""')],
)
def test_a_word_is_itself(word: str, expected: str) -> None:
    assert quote(word) == expected


@pytest.mark.parametrize("word", ["a\nUser=root", "\x00", "\t"])
def test_control_characters_are_refused(word: str) -> None:
    with pytest.raises(ProcessError, match="control characters"):
        quote(word)


def test_each_directory_has_a_unit_of_its_own() -> None:
    assert unit_name(Path("/a")) == unit_name(Path("/a"))
    assert unit_name(Path("/a")) != unit_name(Path("/b"))
    assert unit_name(Path("/a")).endswith(".service")
