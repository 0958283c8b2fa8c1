# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags and environment to settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kplane_server.__main__ import main, parser, settings_of
from kplane_server.settings import LimitSettings, ListenSettings, Settings


def settings(*arguments: str, **environment: str) -> Settings:
    return settings_of(parser({f"KPLANE_SERVER_{k}": v for k, v in environment.items()}).parse_args(["run", *arguments]))


def test_defaults_are_those_of_the_contract() -> None:
    found = settings()
    assert (found.cluster_name, found.listen.host, found.listen.port) == ("kplane-management", "127.0.0.1", 8443)
    assert found.limits == LimitSettings()
    assert found.storage.synchronous == "FULL"
    assert found.data_dir.is_absolute()
    assert found.admin_kubeconfig_path == found.data_dir / "admin.kubeconfig"


def test_flags_win_over_the_environment(tmp_path: Path) -> None:
    flags = ("--port", "9000", "--advertise-address=a.example")
    found = settings(*flags, PORT="9001", HOST="::1", DATA_DIR=str(tmp_path), ADVERTISE_ADDRESS="b,c")
    assert (found.listen.port, found.listen.host, found.data_dir) == (9000, "::1", tmp_path)
    assert found.listen.advertise_addresses == ("a.example",)
    assert settings(ADVERTISE_ADDRESS="b, c").listen.advertise_addresses == ("b", "c")


def test_limits() -> None:
    found = settings("--limit=max_in_flight=7", "--limit", "request_timeout=1.5", LIMIT="max_watches=9,max_in_flight=8")
    assert (found.limits.max_in_flight, found.limits.request_timeout, found.limits.max_watches) == (7, 1.5, 9)


def test_another_name_of_root() -> None:
    assert settings().root_name == settings("--root-control-plane-name=root").root_name == "root"
    assert settings(ROOT_CONTROL_PLANE_NAME="default").root_name == "default"
    assert settings("--root-control-plane-name=main", ROOT_CONTROL_PLANE_NAME="default").root_name == "main"


def test_where_webhooks_may_be() -> None:
    found = settings(
        "--outbound-allow=127.0.0.0/8", "--outbound-allow", "own", OUTBOUND_ALLOW="10.0.0.1", OUTBOUND_DENY="private, corp.example.com"
    )
    assert found.outbound.allow == ("127.0.0.0/8", "own")
    assert found.outbound.deny == ("private", "corp.example.com")
    assert settings().outbound.allow == settings().outbound.deny == ()
    with pytest.raises(SystemExit, match=r"KPLANE_SERVER_OUTBOUND_ALLOW: .* is no address"):
        settings(OUTBOUND_ALLOW="corp.example.com")


WRONG = [
    "--limit=nothing=1",
    "--limit=max_watches=x",
    "--limit=max_watches=0",
    "--limit=x",
    "--port=0",
    "--port=x",
    "--root-control-plane-name=clusters",
    "--root-control-plane-name=No.Label",
    "--root-control-plane-name=" + "a" * 64,
    "--outbound-allow=corp.example.com",
    "--outbound-deny=10.0.0.1/8",
]


@pytest.mark.parametrize("flag", WRONG)
def test_wrong_values_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        settings(flag)
    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (ListenSettings(), "https://127.0.0.1:8443"),
        (ListenSettings("0.0.0.0", 1), "https://127.0.0.1:1"),
        (ListenSettings("::", 1), "https://[::1]:1"),
        (ListenSettings("0.0.0.0", 1, ("plane.example", "10.0.0.1")), "https://plane.example:1"),
    ],
)
def test_the_base_url_is_one_that_clients_can_use(listen: ListenSettings, url: str) -> None:
    assert listen.base_url == url


def test_version_and_status_need_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["kubernetesVersion"].startswith("1.34.")
    assert main(["status", "--data-dir", str(tmp_path / "none"), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["running"] is False
    assert main(["stop", "--data-dir", str(tmp_path / "none"), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"changed": False, "running": False}


def test_a_failure_says_why_for_machines_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "somebody.txt").write_text("else's")
    assert main(["start", "--data-dir", str(tmp_path), "--output", "json", "--supervisor", "daemon"]) != 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["reason"] == "DataDirForeign"
    assert "somebody.txt" in captured.err
