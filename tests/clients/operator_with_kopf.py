# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator for the tests: handlers, a timer, a finalizer, events."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.persistence.finalizer = "example.com/finalizer"
    config.load_kube_config()


@kopf.on.create("example.com", "v1", "widgets")
def created(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    patch.metadata.annotations["example.com/created"] = "yes"
    kopf.event(body, type="Normal", reason="Created", message="by the operator")


@kopf.on.field("example.com", "v1", "widgets", field="spec.size")
def resized(new: int | None, patch: kopf.Patch, **_: Any) -> None:
    patch.metadata.annotations["example.com/size"] = str(new)


@kopf.timer("example.com", "v1", "widgets", interval=1.0)
def tick(patch: kopf.Patch, **_: Any) -> None:
    patch.metadata.annotations["example.com/tick"] = "yes"


@kopf.on.delete("example.com", "v1", "widgets")
def deleted(name: str | None, namespace: str | None, **_: Any) -> None:
    client.CoreV1Api().create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"deleted-{name}")))
