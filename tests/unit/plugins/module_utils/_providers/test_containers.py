# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import os

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._providers import cli, containers, k3s, kind
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Options

# docker inspect of a node of kind 0.30, cut to what is read.
INSPECTED = {
    "Name": "/it-control-plane",
    "State": {"Running": True, "Status": "running"},
    "Config": {"Image": "kindest/node:v1.34.0", "Labels": {"io.x-k8s.kind.cluster": "it", "io.x-k8s.kind.role": "control-plane"}},
    "HostConfig": {
        "PortBindings": {
            "30443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8443"}],
            "6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40123"}],
        }
    },
    "NetworkSettings": {"Ports": {"30443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8443"}], "6443/tcp": [{"HostPort": "40123"}]}},
}
# k3d cluster list --output json of k3d 5.8, cut likewise.
LISTED = [
    {
        "name": "it",
        "nodes": [
            {
                "name": "k3d-it-server-0",
                "role": "server",
                "image": "rancher/k3s:v1.31.5-k3s1",
                "portMappings": {"30443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8444"}]},
                "runtimeLabels": {"core.kplane.dev/config": "44136fa355b3678a"},
                "State": {"Running": True, "Status": "running", "Started": ""},
            },
            {"name": "k3d-it-serverlb", "role": "loadbalancer", "image": "ghcr.io/k3d-io/k3d-proxy:5.8.3", "State": {"Running": True}},
        ],
        "serversCount": 1,
    }
]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make a program on PATH that prints what it is told."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def printing(text):
    return f"cat <<'END'\n{text}\nEND"


def test_the_port_is_read_from_the_provider():
    node = kind.parse_node(INSPECTED)
    assert node == containers.Node("it-control-plane", "control-plane", "kindest/node:v1.34.0", True, "127.0.0.1", 8443)
    stopped = {**INSPECTED, "State": {"Running": False}, "NetworkSettings": {"Ports": {}}}
    assert kind.parse_node(stopped).port == 8443
    bare = {**stopped, "HostConfig": {}}
    assert (kind.parse_node(bare).port, kind.parse_node(bare).address) == (0, "")


def test_a_port_on_every_address_is_seen():
    entry = {**LISTED[0]["nodes"][0], "portMappings": {"30443/tcp": [{"HostIp": "", "HostPort": "8444"}]}}
    assert k3s.parse_node(entry).address == "0.0.0.0"


def test_k3d_lists_its_nodes(program):
    program("k3d", printing(json.dumps(LISTED)))
    driver = k3s.K3sDriver("it")
    assert [(node.name, node.port) for node in driver.nodes()] == [("k3d-it-server-0", 8444), ("k3d-it-serverlb", 0)]
    assert driver.config_digest() == containers.digest({})
    assert k3s.K3sDriver("other").nodes() == []


@pytest.mark.parametrize(
    ("said", "internal"),
    [
        (None, "https://kplane-apiserver.kplane-system.svc.cluster.local:6443"),
        ({"internalEndpoint": "https://api.example.internal:6443"}, "https://api.example.internal:6443"),
    ],
)
def test_addresses_are_what_the_stack_says_and_what_is_mapped(program, monkeypatch, said, internal):
    program("k3d", printing(json.dumps(LISTED)))
    monkeypatch.setattr(containers, "settings", lambda client, namespace: said)
    driver = k3s.K3sDriver("it")
    monkeypatch.setattr(driver, "client", contextlib.nullcontext)
    assert driver.endpoints("https://unused", "demo") == (
        internal + "/clusters/demo/control-plane",
        "https://127.0.0.1:8444/clusters/demo/control-plane",
    )


def test_a_port_that_was_lost_meanwhile_is_not_the_end(monkeypatch):
    """Another program takes the port after it was seen free; kind says so, and the next free one is tried."""
    driver = kind.KindDriver("it")
    tried = []

    def make(port, options):
        tried.append(port)
        if len(tried) == 1:
            raise ProviderError("kind create cluster failed", stderr="Bind for 127.0.0.1:8443 failed: port is already allocated")

    monkeypatch.setattr(driver, "make", make)
    driver._make_at([8443, 8444, 8445], Options())
    assert tried == [8443, 8444]
    tried.clear()
    with pytest.raises(ProviderError):
        driver._make_at([8443], Options(port=8443))


@pytest.mark.parametrize("printed", ["null", "[]", ""])
def test_k3d_without_clusters(program, printed):
    program("k3d", printing(printed))
    assert k3s.K3sDriver("it").nodes() == []


def test_k3d_that_prints_no_json_is_an_error(program):
    program("k3d", printing("WARN something"))
    with pytest.raises(ProviderError, match="not JSON"):
        k3s.K3sDriver("it").nodes()


def test_kind_without_the_cluster(program):
    program("kind", "echo 'No kind nodes found for cluster \"it\".' >&2")
    assert kind.KindDriver("it").nodes() == []


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("kind v0.30.0 go1.24.6 linux/amd64", (0, 30, 0)),
        ("kind v0.11.1 go1.16.4 darwin/arm64", (0, 11, 1)),
        ("k3d version v5.8.3\nk3s version v1.31.5-k3s1 (default)", (5, 8, 3)),
        ("k3d version v5-dev\nk3s version v1.21.7-k3s1 (default)", (5, 9999, 0)),
        ("kind v0.31.0-alpha+1234abcd go1.24.6 linux/amd64", (0, 31, 0)),
    ],
)
def test_versions(program, printed, version):
    program("kind", printing(printed))
    assert cli.Program("kind", "").version("version", timeout=5) == version


def test_a_version_that_is_none_is_an_error(program):
    program("kind", printing("command not found"))
    with pytest.raises(ProviderError, match="printed no version"):
        cli.Program("kind", "").version("version", timeout=5)


def test_output_of_a_failure_is_kept_without_colours(program):
    program("k3d", "echo out; printf '\\033[31mFATA\\033[0m[0000] no daemon\\n' >&2; exit 3")
    with pytest.raises(ProviderError, match=r"k3d cluster list failed with code 3: FATA\[0000\] no daemon") as caught:
        cli.Program("k3d", "").run("cluster", "list", timeout=5)
    assert caught.value.details["stdout"] == "out\n"
    assert caught.value.details["rc"] == 3


def test_a_program_that_hangs_is_an_error(program):
    program("kind", "echo begun; exec sleep 60")
    with pytest.raises(ProviderError, match=r"kind create cluster did not end within 0.5 seconds. It printed: begun"):
        cli.Program("kind", "").run("create", "cluster", timeout=0.5)


def test_the_kubeconfig_of_the_user_is_out_of_reach(program, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/users/own")
    program("kind", 'echo "$KUBECONFIG"; echo "$1"')
    environment, argument = cli.Program("kind", "").run(cli.THROWAWAY, timeout=5).stdout.split()
    assert environment == argument != "/users/own"
    assert not os.path.exists(os.path.dirname(environment))


def test_what_is_missing_is_said(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    driver = kind.KindDriver("it")
    assert "kind is not installed" in driver.missing()
    with pytest.raises(ProviderMissing, match="kind is not installed"):
        driver.find()
    program("kind", "exit 0")
    assert "docker is not installed" in driver.missing()
    assert "not an executable file" in kind.KindDriver("it", "/nowhere/kind").missing()


def test_too_old(program):
    program("docker", "echo 28.0")
    program("kind", printing("kind v0.11.1 go1.16.4 linux/amd64"))
    with pytest.raises(ProviderError, match=r"kind 0.11.1 is too old: 0.20.0 or later is needed"):
        kind.KindDriver("it").preflight(Options())


def test_no_daemon(program):
    program("kind", "exit 0")
    program("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ProviderError, match="Cannot connect to the Docker daemon"):
        kind.KindDriver("it").find()


def test_inotify(tmp_path):
    (tmp_path / "max_user_instances").write_text("64\n")
    (tmp_path / "max_user_watches").write_text("524288\n")
    assert "fs.inotify.max_user_instances is 64, at least 128 is needed" in containers.inotify_problem(str(tmp_path))
    (tmp_path / "max_user_instances").write_text("128\n")
    assert containers.inotify_problem(str(tmp_path)) == ""
    assert containers.inotify_problem(str(tmp_path / "nowhere")) == ""


def test_the_configuration_of_the_user_is_kept():
    config = {
        "kind": "Cluster",
        "apiVersion": kind.API_VERSION,
        "networking": {"ipFamily": "dual"},
        "nodes": [{"role": "worker"}, {"role": "control-plane", "extraPortMappings": [{"containerPort": 80, "hostPort": 8080}]}],
    }
    merged = kind.merged_config(config, 8443, True)
    assert merged["networking"] == {"ipFamily": "dual"}
    assert merged["nodes"][0] == {"role": "worker"}
    mapped = merged["nodes"][1]["extraPortMappings"]
    assert mapped[0] == {"containerPort": 80, "hostPort": 8080}
    assert mapped[1] == {"containerPort": 30443, "hostPort": 8443, "listenAddress": "127.0.0.1", "protocol": "TCP"}
    assert "certs.d" in merged["containerdConfigPatches"][0]
    assert len(config["nodes"][1]["extraPortMappings"]) == 1


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"kind": "Pod"},
        {"apiVersion": "v1"},
        {"nodes": ["a"]},
        {"nodes": [{"role": "worker"}]},
        {"nodes": [{"extraPortMappings": [{"containerPort": 30443, "hostPort": 1}]}]},
    ],
)
def test_what_kind_would_not_take_is_refused_before(config):
    with pytest.raises(ProviderError, match="provider_config"):
        kind.merged_config(config, 8443, False)


@pytest.mark.parametrize(
    "config", [[], {"kind": "Simple"}, {"kind": "Simple", "apiVersion": "k3d.io/v1alpha5", "ports": [{"port": "1:30443"}]}]
)
def test_what_k3d_would_not_take_is_refused_before(config):
    with pytest.raises(ProviderError, match="provider_config"):
        k3s.check_config(config)


def test_mirrors():
    assert kind.hosts_file("docker.io", ["http://mirror:5000"]) == (
        'server = "https://registry-1.docker.io"\n\n[host."http://mirror:5000"]\n  capabilities = ["pull", "resolve"]\n'
    )


def test_a_cluster_of_somebody_else_is_left_alone(program):
    program(
        "docker",
        f'if [ "$1" = version ]; then echo 28; else {printing(json.dumps([{**INSPECTED, "HostConfig": {}, "NetworkSettings": {}}]))}\nfi',
    )
    program("kind", "echo it-control-plane")
    driver = kind.KindDriver("it")
    for act in (driver.delete, driver.stop, lambda: driver.endpoints("", "demo")):
        with pytest.raises(ProviderError, match=r"is not a management plane of kplane\.core"):
            act()


def test_drift(program):
    program("docker", printing(json.dumps([INSPECTED])))
    program("kind", "echo it-control-plane")
    driver = kind.KindDriver("it")
    plane = containers.Plane("kind", "it", "kind-it", False, host="127.0.0.1", port=8443)
    assert driver.drift(plane, Options()) == []
    assert driver.drift(plane, Options(port=8443, node_image="kindest/node:v1.34.0")) == []
    found = driver.drift(plane, Options(port=9, node_image="kindest/node:v1.29.2", provider_config={"nodes": [{}, {"role": "worker"}]}))
    assert [entry.option for entry in found] == ["port", "node_image", "provider_config"]
