# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The etcd of the stack, in its pinned version, with our arguments and our certificates."""

from __future__ import annotations

import json

import pytest
from components import Etcd


def test_the_pinned_version(etcd: Etcd) -> None:
    assert json.loads(etcd.get(f"{etcd.url('2379')}/version", client=True))["etcdserver"] == "3.5.13"


def test_clients_need_a_certificate_of_our_authority(etcd: Etcd) -> None:
    assert json.loads(etcd.get(f"{etcd.url('2379')}/health", client=True))["health"] == "true"
    with pytest.raises(OSError, match="certificate"):
        etcd.get(f"{etcd.url('2379')}/health")


def test_the_operators_port_needs_no_tls(etcd: Etcd) -> None:
    assert json.loads(etcd.get(f"{etcd.url('2382', 'http')}/health"))["health"] == "true"
    with pytest.raises(OSError, match=r"400|refused|reset|closed"):
        etcd.get(f"{etcd.url('2379', 'http')}/health")
