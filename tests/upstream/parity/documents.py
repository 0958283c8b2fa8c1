# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents and paths that the requests share."""

from __future__ import annotations

from typing import Any

NS = "/api/v1/namespaces/<<ns>>"
CM = f"{NS}/configmaps"
PODS = f"{NS}/pods"
SERVICES = f"{NS}/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/<<ns>>/deployments"
Json = dict[str, Any]


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, **({"data": data} if data else {})}


def named(name: str, spec: Json | None = None, **more: Any) -> Json:
    """A body without apiVersion and kind, which the path tells."""
    return {"metadata": {"name": name}, **({} if spec is None else {"spec": spec}), **more}


def template(pod: Json | None = None) -> Json:
    return {"metadata": {"labels": {"app": "x"}}, "spec": pod or {"containers": [{"name": "c", "image": "i"}]}}


def deployment(name: str, pod: Json | None = None, **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template(pod), **spec},
    }


def pod(name: str, **spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
