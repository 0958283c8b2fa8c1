# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply: ownership, conflicts, force, removal, lists, wrong configurations."""

from __future__ import annotations

from typing import Any

from scenario import APPLY, Case, Step, apply, get, patch, put

from parity.documents import CM, DEPLOYMENTS, SERVICES, config_map

A = f"{CM}/a"
D = f"{DEPLOYMENTS}/d"


def workload(containers: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}}
    selector = {"matchLabels": {"app": "x"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": selector, "template": pod, **spec},
    }


CASES = [
    Case(
        "apply/ownership",
        (
            apply(A, config_map("a", {"k": "1", "l": "1"})),
            apply(A, config_map("a", {"k": "1", "l": "1"})),
            apply(A, config_map("a", {"k": "2"}), "two"),
            apply(A, config_map("a", {"k": "1"}), "two"),
            apply(A, config_map("a", {"k": "2"})),
            apply(A, config_map("a", {"k": "2"}), "two", "&force=true"),
            apply(A, config_map("a", {"l": "1"})),
            apply(A, config_map("a", {})),
            apply(A, config_map("a"), "two"),
            get(A),
            patch(f"{A}?fieldManager=updater", {"data": {"u": "1"}}),
            apply(A, config_map("a", {"u": "2"})),
            apply(A, config_map("a", {"u": "2"}), "one", "&force=true"),
            put(f"{A}?fieldManager=putter", config_map("a", {"u": "3", "w": "1"})),
            apply(A, config_map("a", {"u": "3"}), "two"),
            patch(A, {"metadata": {"managedFields": [{}]}}),
            apply(A, config_map("a", {"after": "reset"})),
        ),
    ),
    Case(
        "apply/wrong",
        (
            Step("PATCH", A, config_map("a"), APPLY),
            Step("PATCH", f"{A}?fieldManager=", config_map("a"), APPLY),
            apply(A, config_map("b")),
            apply(A, {**config_map("a"), "kind": "Secret"}),
            apply(A, {**config_map("a"), "apiVersion": "v2"}),
            apply(A, {"metadata": {"name": "a"}}),
            apply(A, {"kind": "ConfigMap", "metadata": {"name": "a"}}),
            apply(A, {"apiVersion": "v1", "metadata": {"name": "a"}}),
            apply(A, {"apiVersion": "v1", "kind": "ConfigMap"}),
            apply(A, config_map("a", namespace="other")),
            apply(A, config_map("a", managedFields=[{"manager": "x"}])),
            apply(A, config_map("a", uid="00000000-0000-0000-0000-000000000000")),
            apply(A, {**config_map("a"), "unknown": 1}),
            apply(A, {**config_map("a"), "unknown": 1}, "one", "&fieldValidation=Strict"),
            apply(A, {**config_map("a"), "unknown": 1}, "one", "&fieldValidation=Ignore"),
            apply(A, {**config_map("a"), "data": {"k": 1}}),
            apply(A, {**config_map("a"), "data": "x"}),
            apply(A, b"{"),
            apply(A, b"- list"),
            apply(A, b""),
            apply(A, b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  y: yaml\n"),
            apply(A, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {y: '1', y: '2'}\n", "one", "&fieldValidation=Strict"),
            apply(A, config_map("a", {"k": "1"}), "one", "&dryRun=All"),
            apply(A, config_map("a", {"k": "1"}), "one", "&force=maybe"),
            apply(A, config_map("a", resourceVersion="1")),
            apply("/api/v1/namespaces/<<ns>>/configmaps/new", config_map("new", resourceVersion="1")),
            apply(CM, config_map("a")),
        ),
    ),
    Case(
        "apply/lists",
        (
            apply(D, workload([{"name": "a", "image": "i", "env": [{"name": "A", "value": "1"}], "args": ["x"]}])),
            apply(D, workload([{"name": "b", "image": "i"}]), "two"),
            apply(D, workload([{"name": "b", "image": "j"}]), "three"),
            apply(D, workload([{"name": "a", "args": ["y"]}]), "three"),
            apply(D, workload([{"name": "a", "image": "i"}])),
            apply(D, workload([{"name": "a", "image": "i"}, {"name": "a", "image": "j"}])),
            apply(D, workload([{"image": "nameless"}])),
            apply(D, workload([{"name": "a", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 81}]}])),
            apply(D, workload([{"name": "a", "image": "i", "ports": [{"containerPort": 81, "name": "web"}]}])),
            apply(D, workload([{"name": "a", "image": "i"}], replicas=3)),
            apply(
                f"{D}/scale",
                {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}},
                "scaler",
            ),
            apply(
                f"{D}/scale",
                {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}},
                "scaler",
                "&force=true",
            ),
            apply(D, workload([{"name": "a", "image": "i"}], replicas=3)),
            apply(
                f"{D}/status",
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 1}},
                "watcher",
            ),
            apply(D, workload([], replicas=1), "four"),
            get(D),
        ),
    ),
    Case(
        "apply/services and sets",
        (
            apply(
                f"{SERVICES}/s",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "s", "finalizers": ["a.b/c"]},
                    "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"x": "y"}},
                },
            ),
            apply(
                f"{SERVICES}/s",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "s", "finalizers": ["d.e/f"]},
                    "spec": {"ports": [{"port": 80, "protocol": "UDP", "name": "u"}]},
                },
                "two",
            ),
            apply(f"{SERVICES}/s", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}),
            apply(f"{SERVICES}/s", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "finalizers": []}}, "two"),
            get(f"{SERVICES}/s"),
        ),
    ),
]
