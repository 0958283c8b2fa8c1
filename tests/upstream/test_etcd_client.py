# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup reads etcd with, on the real etcd: directly, and through a port-forward that the kubelet's own code serves."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from components import COLLECTION, Etcd, Secrets
from front import Front
from support.server import Server

if str(COLLECTION) not in sys.path:
    sys.path.append(str(COLLECTION))

from ansible_collections.kplane.core.plugins.module_utils import _auth, _errors, _etcd, _portforward
from ansible_collections.kplane.core.plugins.module_utils._client import Client

Connect = Callable[[], Any]


def trusting(secrets: Secrets) -> ssl.SSLContext:
    data = secrets["kplane-etcd-client"]["data"]
    context = ssl.create_default_context(cadata=data["ca.crt"])
    _auth.load_client_certificate(context, data["tls.crt"].encode(), data["tls.key"].encode())
    return context


@pytest.fixture(scope="module")
def front(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    server = Server(tmp_path_factory.mktemp("cluster") / "data").start()
    made = Front(server, {"2379": f"127.0.0.1:{etcd.ports['2379']}", "9": "127.0.0.1:9"})
    try:
        yield made
    finally:
        made.stop()
        server.kill()


@pytest.fixture(params=["directly", "through a port-forward"])
def connect(request: pytest.FixtureRequest, etcd: Etcd, front: Front) -> Connect:
    context = trusting(etcd.secrets)
    if request.param == "directly":
        return lambda: context.wrap_socket(
            socket.create_connection(("127.0.0.1", int(etcd.ports["2379"])), 10), server_hostname="localhost"
        )
    return lambda: _portforward.TlsSocket(
        _portforward.Tunnel(front.client(), "kplane-system", "kplane-etcd-0", 2379, 20), context, "localhost"
    )


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> bytes:
    return f"/test/{request.node.name}/".encode()


def pair(key: bytes, value: bytes) -> _etcd.Pair:
    return _etcd.Pair(_etcd.encode(key), _etcd.encode(value))


def test_all_of_a_prefix_at_one_revision(connect: Connect, prefix: bytes) -> None:
    wanted = {prefix + b"%05d" % number: bytes([number % 256]) * (number % 7 * 100) for number in range(1500)}
    wanted[prefix + b"large-1"] = b"x" * 1_200_000
    wanted[prefix + b"large-2"] = b"y" * 1_200_000
    wanted[prefix + b"\xff\x00binary"] = b"\x00\xff"
    with _etcd.Etcd(connect) as etcd:
        assert etcd.count(prefix)[0] == 0
        assert etcd.put(pair(key, value) for key, value in wanted.items()) == len(wanted)
        etcd.put([pair(prefix[:-1] + b"0", b"beside")])
        lease = etcd.call("/v3/lease/grant", {"TTL": "600"})["ID"]
        etcd.call("/v3/kv/put", {"key": _etcd.encode(prefix + b"leased"), "value": "", "lease": lease})
        count, revision = etcd.count(prefix)
        assert count == len(wanted) + 1
        found = {}
        for one in etcd.pairs(prefix, revision):
            if not found:
                etcd.put([pair(prefix + b"00003", b"changed"), pair(prefix + b"new", b"new")])  # nobody waits for the reader
            found[base64.b64decode(one.key)] = base64.b64decode(one.value)
        assert found == wanted
        etcd.clear(prefix)
        assert etcd.count(prefix)[0] == 0
        assert etcd.count(prefix[:-1] + b"0")[0] == 1


def test_a_revision_that_is_gone_is_said(connect: Connect, prefix: bytes) -> None:
    with _etcd.Etcd(connect) as etcd:
        etcd.put([pair(prefix + b"a", b"1")])
        revision = etcd.count(prefix)[1]
        etcd.put([pair(prefix + b"a", b"2")])
        etcd.compact(etcd.count(prefix)[1])
        etcd.compact(etcd.count(prefix)[1])
        with pytest.raises(_etcd.EtcdError, match="Try again at a quieter time"):
            list(etcd.pairs(prefix, revision))


def test_revisions_can_be_caught_up(connect: Connect, prefix: bytes) -> None:
    with _etcd.Etcd(connect) as etcd:
        now = etcd.count(prefix)[1]
        _etcd.advance(connect, now + 500)
        assert now + 500 <= etcd.count(prefix)[1] < now + 600
        assert etcd.count(b"kplane.core/revision")[0] == 0


def test_a_broken_connection_is_made_again(connect: Connect, prefix: bytes) -> None:
    made: list[Any] = []

    def remembered() -> Any:
        made.append(connect())
        return made[-1]

    with _etcd.Etcd(remembered) as etcd:
        etcd.put([pair(prefix + b"a", b"1")])
        made[0].close()
        assert etcd.count(prefix)[0] == 1
        assert len(made) == 2
        with pytest.raises(_etcd.EtcdError, match="message larger than max"):
            etcd.put([pair(prefix + b"b", b"z" * 3_000_000)])


def test_what_a_port_forward_refuses_is_said(front: Front, etcd: Etcd) -> None:
    def tunnel(client: Client, port: int) -> _portforward.Tunnel:
        return _portforward.Tunnel(client, "kplane-system", "kplane-etcd-0", port, 20)

    with pytest.raises(_errors.Forbidden, match="cannot get resource"):
        tunnel(front.client(token="wrong"), 2379)
    for port in (7, 9):  # not a port of the pod; a port that nobody listens on
        with pytest.raises(_errors.ConnectionFailed, match=r"refused"):
            tunnel(front.client(), port).receive()
    # Another authority's certificate is not trusted inside of the tunnel either.
    with pytest.raises(ssl.SSLCertVerificationError):
        _portforward.TlsSocket(tunnel(front.client(), 2379), ssl.create_default_context(), "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        _portforward.TlsSocket(tunnel(front.client(), 2379), trusting(etcd.secrets), "other.example")
