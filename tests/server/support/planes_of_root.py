# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ControlPlanes and their classes as the administrator of root sees them: annotations, conditions, Events."""

from __future__ import annotations

from typing import Any

from support.client import Client, eventually
from support.server import GROUP, Server

PREFIX = "controlplane.kplane.dev/"


def make_class(server: Server, name: str, **spec: Any) -> None:
    """A ControlPlaneClass, made or replaced."""
    body = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": name}, "spec": spec}
    server.root.apply(f"{GROUP}/controlplaneclasses/{name}", body, force=True).ok()


def make_plane(server: Server, name: str, klass: str = "starter", annotations: dict[str, str] | None = None) -> Client:
    """A ControlPlane with annotations (their prefix left out), ready."""
    create_plane(server, name, klass, annotations)
    return server.wait_ready(name)


def create_plane(server: Server, name: str, klass: str = "starter", annotations: dict[str, str] | None = None) -> None:
    body = {
        "apiVersion": "controlplane.kplane.dev/v1alpha1",
        "kind": "ControlPlane",
        "metadata": {"name": name, "annotations": {PREFIX + key: value for key, value in (annotations or {}).items()}},
        "spec": {"classRef": {"name": klass}, "deletionPolicy": "Destroy"},
    }
    server.root.post(f"{GROUP}/controlplanes", body).ok()


def annotate(server: Server, name: str, **annotations: str | None) -> None:
    """Set (or with None take away) annotations of a ControlPlane."""
    body = {"metadata": {"annotations": {PREFIX + key: value for key, value in annotations.items()}}}
    server.root.patch(f"{GROUP}/controlplanes/{name}", body).ok()


def status(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.root.get(f"{GROUP}/controlplanes/{name}").ok().get("status", {})
    return found


def condition(server: Server, name: str, kind: str) -> dict[str, Any]:
    """A condition of a ControlPlane; empty if it has none of that type."""
    return next((c for c in status(server, name).get("conditions", ()) if c["type"] == kind), {})


def wait_condition(server: Server, name: str, kind: str, reason: str, seconds: float = 10.0) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        it = condition(server, name, kind)
        return it if it.get("reason") == reason else None

    it: dict[str, Any] = eventually(found, seconds, f"{kind}={reason} of {name}")
    return it


def events(server: Server, name: str, reason: str) -> list[dict[str, Any]]:
    """The Events about a ControlPlane that have a reason."""
    items = server.root.get(f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name},reason={reason}").ok()["items"]
    return list(items)
