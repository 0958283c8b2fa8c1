# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings: said once, where they are true, and only about what is new."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.registry.strategies.warnings import MAX_WARNINGS, warnings_of

CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "A"}]}]},
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ),
    (
        {"containers": [{"name": "c", "ports": [{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 1, "protocol": "TCP"}]}]},
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
    ),
    ({"volumes": [{"name": "v", "glusterfs": {}}]}, "spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+"),
    (
        {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
    ),
    (
        {"terminationGracePeriodSeconds": -1},
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
    ),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, 'spec.imagePullSecrets[1].name: duplicate name "a"'),
    (
        {"topologySpreadConstraints": [{}]},
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
    ),
]


@pytest.mark.parametrize(("spec", "text"), CASES)
def test_what_is_accepted_with_a_warning(spec: dict[str, Any], text: str) -> None:
    assert warnings_of("core.v1.Pod", {"spec": spec}, None) == [text]
    assert warnings_of("core.v1.Pod", {"spec": spec}, {"spec": spec}) == []
    assert warnings_of("apps.v1.Deployment", {"spec": {"template": {"spec": spec}}}, None) == [text.replace("spec.", "spec.template.spec.")]


def test_a_reference_to_the_value_before_hides_nothing() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]
    assert warnings_of("core.v1.Pod", {"spec": {"containers": [{"env": env}]}}, None) == []


def test_there_is_an_end_to_it() -> None:
    env = [{"name": "A"}] * 1000
    assert len(warnings_of("core.v1.Pod", {"spec": {"containers": [{"env": env}]}}, None)) == MAX_WARNINGS
