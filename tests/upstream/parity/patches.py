# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of the three older kinds."""

from __future__ import annotations

from typing import Any

from scenario import JSON, JSON_PATCH, MERGE, STRATEGIC, Case, Step, get, patch, post

from parity.documents import CM, DEPLOYMENTS, SERVICES, config_map, deployment, named

D = f"{DEPLOYMENTS}/d"
MADE = post(
    DEPLOYMENTS,
    deployment(
        "d",
        {
            "containers": [
                {
                    "name": "a",
                    "image": "i",
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "ports": [{"containerPort": 80}],
                },
                {"name": "b", "image": "i", "args": ["x", "y"]},
            ],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "tolerations": [{"key": "k", "operator": "Exists"}],
        },
    ),
)


def strategic(spec: Any) -> Step:
    return patch(D, {"spec": {"template": {"spec": spec}}}, STRATEGIC)


CASES = [
    Case(
        "patches/json",
        (
            post(CM, config_map("a", {"k": "1", "l.m": "2", "t-n": "3"}, annotations={"x.y/z": "1"})),
            patch(f"{CM}/a", [{"op": "replace", "path": "/data/k", "value": "2"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "test", "path": "/data/k", "value": "3"}], JSON_PATCH),
            patch(
                f"{CM}/a",
                [{"op": "test", "path": "/data/k", "value": "2"}, {"op": "remove", "path": "/metadata/annotations/x.y~1z"}],
                JSON_PATCH,
            ),
            patch(f"{CM}/a", [{"op": "remove", "path": "/data/absent"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "replace", "path": "/data/absent", "value": "x"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "/no/such", "value": "x"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "", "value": {}}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "move", "from": "/data/t-n", "path": "/data/moved"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "copy", "from": "/data/moved", "path": "/data/copied"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "copy", "from": "/data/none", "path": "/data/copied"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "test", "path": "/data/none", "value": None}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "nonsense", "path": "/data/k"}], JSON_PATCH),
            patch(f"{CM}/a", [{"path": "/data/k"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "value": "1"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "data", "value": "1"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "/data/k", "value": 5}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "/metadata/labels/x", "value": "y"}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}], JSON_PATCH),
            patch(f"{CM}/a", [{"op": "replace", "path": "/metadata/name", "value": "y"}], JSON_PATCH),
            patch(f"{CM}/a", {"op": "add"}, JSON_PATCH),
            patch(f"{CM}/a", b"[", JSON_PATCH),
            patch(f"{CM}/a", [], JSON_PATCH),
            patch(f"{CM}/a", [5], JSON_PATCH),
            patch(f"{CM}/absent", [], JSON_PATCH),
        ),
    ),
    Case(
        "patches/json in lists",
        (
            MADE,
            patch(D, [{"op": "add", "path": "/spec/template/spec/containers/0/env/0", "value": {"name": "Z"}}], JSON_PATCH),
            patch(D, [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "Y"}}], JSON_PATCH),
            patch(D, [{"op": "remove", "path": "/spec/template/spec/containers/0/env/9"}], JSON_PATCH),
            patch(D, [{"op": "remove", "path": "/spec/template/spec/containers/0/env/-1"}], JSON_PATCH),
            patch(D, [{"op": "remove", "path": "/spec/template/spec/containers/0/env/x"}], JSON_PATCH),
            patch(D, [{"op": "add", "path": "/spec/template/spec/containers/9", "value": {}}], JSON_PATCH),
            patch(D, [{"op": "replace", "path": "/spec/replicas", "value": 3}], JSON_PATCH),
            patch(D, [{"op": "test", "path": "/spec/replicas", "value": 3.0}], JSON_PATCH),
            patch(D, [{"op": "replace", "path": "/spec/replicas", "value": -1}], JSON_PATCH),
            patch(D, [{"op": "remove", "path": "/spec/template/spec/containers/1"}], JSON_PATCH),
            patch(D, [{"op": "remove", "path": "/spec/template"}], JSON_PATCH),
            get(D),
        ),
    ),
    Case(
        "patches/merge",
        (
            post(CM, config_map("a", {"k": "1", "l": "2"})),
            patch(f"{CM}/a", {"data": {"k": None, "m": "3"}}),
            patch(f"{CM}/a", {"data": None}),
            patch(f"{CM}/a", {"data": {"k": 1}}),
            patch(f"{CM}/a", {"data": "text"}),
            patch(f"{CM}/a", {"unknown": 1}),
            patch(f"{CM}/a?fieldValidation=Strict", {"unknown": 1}),
            patch(f"{CM}/a?fieldValidation=Strict", b'{"data": {"a": "1", "a": "2"}}'),
            patch(f"{CM}/a", []),
            patch(f"{CM}/a", b"{"),
            patch(f"{CM}/a", b""),
            patch(f"{CM}/a", {}),
            patch(f"{CM}/a", {"metadata": {"labels": {"x": "y"}, "annotations": {"p": "q"}}}),
            patch(f"{CM}/a", {"metadata": {"resourceVersion": "<<last.metadata.resourceVersion>>"}, "data": {"n": "1"}}),
            patch(f"{CM}/a", {"metadata": {"managedFields": []}}),
            patch(f"{CM}/a?dryRun=All", {"data": {"dry": "run"}}),
            patch(f"{CM}/a?force=true", {"data": {"forced": "1"}}),
            patch(f"{CM}/a?fieldManager=someone", {"data": {"theirs": "1"}}),
            patch(f"{CM}/absent", {"data": {}}),
            patch(f"{CM}/a", {}, JSON),
            patch(f"{CM}/a", {}, "application/unknown"),
            Step("PATCH", f"{CM}/a"),
            patch(CM, {}),
            MADE,
            patch(D, {"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "i"}]}}}}, MERGE),
        ),
    ),
    Case(
        "patches/strategic",
        (
            MADE,
            strategic({"containers": [{"name": "a", "image": "j"}]}),
            strategic({"containers": [{"name": "a", "env": [{"name": "C", "value": "3"}, {"$patch": "delete", "name": "A"}]}]}),
            strategic(
                {
                    "containers": [{"name": "c", "image": "new"}],
                    "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                }
            ),
            strategic({"containers": [{"$patch": "delete", "name": "c"}]}),
            strategic({"containers": [{"name": "b", "args": ["z"]}]}),
            strategic({"tolerations": [{"key": "other"}]}),
            strategic({"volumes": [{"name": "v", "emptyDir": None, "configMap": {"name": "c"}}]}),
            strategic({"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}),
            strategic({"containers": [{"name": "b", "image": "only"}, {"$patch": "replace"}]}),
            strategic({"containers": [{"image": "nameless"}]}),
            strategic({"containers": [{"name": "x", "$patch": "nonsense"}]}),
            strategic({"containers": {}}),
            strategic({"$setElementOrder/containers": [{"name": "zzz"}], "containers": [{"name": "b", "image": "k"}]}),
            patch(D, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, STRATEGIC),
            patch(D, {"spec": {"strategy": {"$patch": "replace", "type": "RollingUpdate"}}}, STRATEGIC),
            patch(D, {"metadata": {"finalizers": ["a.b/c", "d.e/f"]}}, STRATEGIC),
            patch(D, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}, STRATEGIC),
            patch(D, {"metadata": {"finalizers": []}}, STRATEGIC),
            patch(D, {"metadata": {"finalizers": None}}, STRATEGIC),
            patch(D, {"metadata": {"labels": {"$patch": "replace", "only": "this"}}}, STRATEGIC),
            patch(D, {"spec": {"unknown": 1, "replicas": 2}}, STRATEGIC),
            patch(D, {"spec": {"replicas": "x"}}, STRATEGIC),
            patch(D, b"{", STRATEGIC),
            patch(D, b"[]", STRATEGIC),
            patch(D, {"$patch": "delete"}, STRATEGIC),
            get(D),
        ),
    ),
    Case(
        "patches/services",
        (
            post(
                SERVICES,
                named("s", {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"}], "selector": {"x": "y"}}),
            ),
            patch(f"{SERVICES}/s", {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}, STRATEGIC),
            patch(f"{SERVICES}/s", {"spec": {"ports": [{"port": 81, "name": "c"}]}}, STRATEGIC),
            patch(f"{SERVICES}/s", {"spec": {"selector": {"x": None, "z": "w"}}}, STRATEGIC),
            patch(f"{SERVICES}/s", {"spec": {"clusterIP": "10.0.0.99"}}),
            patch(f"{SERVICES}/s", {"spec": {"type": "NodePort"}}),
            patch(f"{SERVICES}/s", {"spec": {"type": "ExternalName", "externalName": "example.com"}}),
            patch(f"{SERVICES}/s", {"spec": {"type": "Nonsense"}}),
            get(f"{SERVICES}/s"),
        ),
    ),
]
