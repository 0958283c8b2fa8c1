# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``tests/server/clients`` does with kubectl 1.34, again with one three minors older and one three minors newer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clients.test_kubectl import (  # noqa: F401 - collected here, and run with the fixtures of this file
    test_apply_on_the_client_side,
    test_apply_on_the_server_side,
    test_create_get_patch_delete_of_a_configmap,
    test_create_token_and_use_it,
    test_custom_resources,
    test_deleting_a_namespace_ends,
    test_diff_and_dry_run_change_nothing,
    test_discovery_and_explain,
    test_everything_at_once,
    test_moving_from_client_side_to_server_side_apply,
    test_namespaces,
    test_scale_and_rollout,
    test_strict_validation_names_the_field,
    test_watching,
    test_who_and_may_i,
)
from support.client import Client
from support.kubectl import Kubectl, write_kubeconfig
from support.published import PATIENCE_SECONDS, program

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS)


@pytest.fixture
def vcp(client: Client) -> Client:
    return client


@pytest.fixture(params=["1.31", "1.37"])
def kubectl(request: pytest.FixtureRequest, client: Client, tmp_path: Path) -> Kubectl:
    found = program(f"kubectl-{request.param}")
    if found is None:
        pytest.skip(f"NO GO: kubectl {request.param} is not run")
    return Kubectl(str(found), write_kubeconfig(client, tmp_path), tmp_path)


def test_that_it_is_another_version(kubectl: Kubectl) -> None:
    versions = json.loads(kubectl("version", "-o", "json"))
    assert f"kubectl-1.{versions['clientVersion']['minor']}" == Path(kubectl.program).name
    assert abs(int(versions["clientVersion"]["minor"]) - int(versions["serverVersion"]["minor"])) >= 3
