# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _contract


@pytest.mark.parametrize("name", ["a", "demo", "c-1", "c-10", "0", "a" * 63, "kplane-demo", "kind-x"])
def test_names_that_a_vcp_may_have(name):
    assert _contract.vcp_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "a b", "a\n", "demo\n---\nkind: Secret", "root", "clusters", "ä"]
)
def test_names_that_it_may_not_have(name):
    assert _contract.vcp_name_problem(name)


def test_paths_of_resources():
    assert _contract.CONTROL_PLANES.path() == "/apis/controlplane.kplane.dev/v1alpha1/controlplanes"
    assert _contract.SECRETS.path("s", "n") == "/api/v1/namespaces/n/secrets/s"
    assert _contract.SECRETS.path() == "/api/v1/secrets"
    assert _contract.vcp_path("demo") == "/clusters/demo/control-plane"


@pytest.mark.parametrize("length", range(1, 64))
def test_derived_names_are_always_valid(length):
    name = "a" * length
    assert _contract.is_dns_label(_contract.vcp_namespace(name))
    assert _contract.is_dns_label(_contract.vcp_secret(name))


def test_shortened_names_differ_where_the_vcps_do():
    one, two = "a" * 62 + "b", "a" * 62 + "c"
    assert _contract.vcp_namespace(one) != _contract.vcp_namespace(two)
    assert _contract.vcp_secret(one) != _contract.vcp_secret(two)
    assert _contract.vcp_namespace("demo") == "kplane-cp-demo"
    assert _contract.vcp_secret("demo") == "controlplane-demo-kubeconfig"
