# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects: writes, wrong bodies, preconditions, field validation, dry runs."""

from __future__ import annotations

from scenario import Case, delete, get, patch, post, put

from parity.documents import CM, DEPLOYMENTS, NS, config_map, deployment

CREATED = post(CM, config_map("a", {"k": "1"}), keep="made")

CASES = [
    Case(
        "objects/life",
        (
            CREATED,
            get(f"{CM}/a"),
            post(CM, config_map("a")),
            put(f"{CM}/a", config_map("a", {"k": "2"}), keep="second"),
            put(f"{CM}/a", config_map("a", {"k": "2"})),
            put(f"{CM}/a", config_map("a", {"k": "3"}, resourceVersion="<<made.metadata.resourceVersion>>")),
            put(f"{CM}/a", config_map("a", {"k": "3"}, resourceVersion="<<second.metadata.resourceVersion>>")),
            put(f"{CM}/a", config_map("a", {"k": "3"}, resourceVersion="abc")),
            put(f"{CM}/a", config_map("a", {"k": "3"}, uid="00000000-0000-0000-0000-000000000000")),
            put(f"{CM}/absent", config_map("absent")),
            put(f"{CM}/absent", config_map("absent", resourceVersion="1")),
            get(f"{CM}/absent"),
            delete(f"{CM}/absent"),
            delete(f"{CM}/a"),
            get(f"{CM}/a"),
        ),
    ),
    Case(
        "objects/wrong bodies",
        (
            post(CM, b""),
            post(CM, b"{"),
            post(CM, b"[]"),
            post(CM, b'"text"'),
            post(CM, b"null"),
            post(CM, b"{}"),
            post(CM, {"metadata": {"name": "without-kind"}}),
            post(CM, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
            post(CM, {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}}),
            post(CM, {"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "x"}}),
            post(CM, {"apiVersion": "nonsense/v9", "kind": "ConfigMap", "metadata": {"name": "x"}}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap"}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": None}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": "text"}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 5}}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": 1}}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": []}),
            post(CM, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "binaryData": {"k": "%%"}}),
            post(DEPLOYMENTS, {**deployment("x"), "spec": {"replicas": "two"}}),
            post(DEPLOYMENTS, {**deployment("x"), "spec": {"replicas": 1.5}}),
            post(DEPLOYMENTS, {**deployment("x"), "spec": {"template": {"spec": {"containers": {}}}}}),
            post(CM, b"metadata: {name: yaml}\ndata: {k: v}\n", kind="application/yaml"),
            post(CM, b"\t- no\n  : yaml", kind="application/yaml"),
            post(CM, b"x", kind="text/plain"),
            post(CM, b"x", kind="application/xml"),
            post(CM, b"x", kind="nonsense"),
            put(f"{CM}/x", b"{"),
            put(f"{CM}/x", config_map("y")),
            put(f"{CM}/x", {"apiVersion": "v1", "kind": "ConfigMap"}),
        ),
    ),
    Case(
        "objects/names",
        (
            post(CM, config_map("")),
            post(CM, config_map("Upper")),
            post(CM, config_map("under_score")),
            post(CM, config_map("a" * 254)),
            post(CM, config_map("x", namespace="elsewhere")),
            post(CM, config_map("x", resourceVersion="5")),
            post(CM, config_map("x", labels={"bad key!": "x"})),
            post(CM, config_map("x", labels={"k": "bad value!"})),
            post(CM, config_map("x", labels={"a/b/c": "x"})),
            post(CM, config_map("x", annotations={"Bad Key": "x"})),
            post(CM, config_map("x", finalizers=["nodomain"])),
            post(CM, config_map("x", ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "", "uid": ""}])),
            post(CM, config_map("x", ownerReferences=[{"apiVersion": "", "kind": "", "name": "n", "uid": "u"}])),
            post(
                CM,
                config_map(
                    "x",
                    ownerReferences=[
                        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": True} for name in ("a", "b")
                    ],
                ),
            ),
            post(CM, {"metadata": {"generateName": "made-"}}),
            post(CM, {"metadata": {"generateName": "a" * 250}}),
            post(CM, config_map("with-more", {"a.b": "1"}, labels={"l": "1"}, annotations={"a": "1"}, selfLink="/x")),
            post(CM, config_map("bad-key", {"a b": "1"})),
            post(CM, {**config_map("twice", {"k": "1"}), "binaryData": {"k": "AA=="}}),
            post("/api/v1/namespaces/<<ns>>-none/configmaps", config_map("x")),
            get("/api/v1/namespaces/<<ns>>-none/configmaps"),
            get("/api/v1/namespaces/<<ns>>-none/configmaps/x"),
            post("/api/v1/namespaces", {"metadata": {"name": "Bad.Name"}}),
            post("/api/v1/namespaces", {"metadata": {"name": "<<ns>>"}}),
        ),
    ),
    Case(
        "objects/immutable",
        (
            post(f"{NS}/secrets", {"metadata": {"name": "s"}, "immutable": True, "stringData": {"a": "1"}}, keep="s"),
            patch(f"{NS}/secrets/s", {"stringData": {"a": "2"}}),
            patch(f"{NS}/secrets/s", {"immutable": False}),
            patch(f"{NS}/secrets/s", {"type": "other"}),
            patch(f"{NS}/secrets/s", {"metadata": {"labels": {"a": "b"}}}),
            post(CM, {**config_map("c", {"a": "1"}), "immutable": True}),
            patch(f"{CM}/c", {"data": {"a": "2"}}),
            patch(f"{CM}/c", {"immutable": None}),
            post(DEPLOYMENTS, deployment("d")),
            patch(f"{DEPLOYMENTS}/d", {"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"generation": 99}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"name": "other"}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"namespace": "other"}}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}),
            patch(f"{DEPLOYMENTS}/d", {"kind": "Other"}),
            patch(f"{DEPLOYMENTS}/d", {"apiVersion": "v1"}),
            patch(f"{DEPLOYMENTS}/d", {"metadata": {"resourceVersion": "1"}}),
            get(f"{DEPLOYMENTS}/d"),
        ),
    ),
    Case(
        "objects/field validation",
        tuple(
            post(f"{path}?fieldValidation={mode}{more}", body)
            for mode in ("Strict", "Warn", "Ignore", "Other", "")
            for path, more, body in (
                (CM, "&dryRun=All", {**config_map("x"), "extra": 1}),
                (CM, "&dryRun=All", b'{"metadata": {"name": "x", "name": "y"}, "data": {"a": "1", "a": "2"}}'),
                (
                    DEPLOYMENTS,
                    "&dryRun=All",
                    {
                        **deployment("x", {"containers": [{"name": "c", "image": "i", "imagee": "x", "ports": [{"containerport": 1}]}]}),
                        "x": {},
                    },
                ),
            )
        ),
    ),
    Case(
        "objects/options",
        (
            post(f"{CM}?dryRun=All", config_map("dry")),
            get(f"{CM}/dry"),
            post(f"{CM}?dryRun=Some", config_map("dry")),
            post(f"{CM}?dryRun=All&dryRun=All", config_map("dry")),
            post(f"{CM}?fieldManager={'m' * 129}", config_map("x")),
            post(f"{CM}?fieldManager=a%0Ab", config_map("x")),
            post(f"{CM}?fieldManager=mine", config_map("managed")),
            post(f"{CM}?pretty=true", config_map("pretty")),
            CREATED,
            put(f"{CM}/a?dryRun=All", config_map("a", {"k": "dry"})),
            delete(f"{CM}/a?dryRun=All"),
            get(f"{CM}/a?resourceVersion=0"),
            get(f"{CM}/a?resourceVersion=abc"),
            get(f"{CM}/a?resourceVersion=999999999999"),
            post(f"{CM}?unknown=1", config_map("unknown")),
        ),
    ),
]
