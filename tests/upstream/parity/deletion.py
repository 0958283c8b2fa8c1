# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion: options, propagation, finalizers, collections, namespaces."""

from __future__ import annotations

from scenario import Case, delete, get, patch, post, put

from parity.documents import CM, DEPLOYMENTS, PODS, config_map, deployment, pod

OPTIONS = {"apiVersion": "v1", "kind": "DeleteOptions"}
HELD = config_map("held", finalizers=["example.com/hold"])


CASES = [
    Case(
        "deletion/options",
        (
            post(CM, config_map("a")),
            delete(f"{CM}/a", {**OPTIONS, "preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}),
            delete(f"{CM}/a", {**OPTIONS, "preconditions": {"resourceVersion": "1"}}),
            delete(f"{CM}/a", {**OPTIONS, "propagationPolicy": "Nonsense"}),
            delete(f"{CM}/a?propagationPolicy=Nonsense"),
            delete(f"{CM}/a", {**OPTIONS, "propagationPolicy": "Orphan", "orphanDependents": True}),
            delete(f"{CM}/a", {**OPTIONS, "dryRun": ["Some"]}),
            delete(f"{CM}/a", {**OPTIONS, "dryRun": ["All"]}),
            delete(f"{CM}/a", {**OPTIONS, "gracePeriodSeconds": -5}),
            delete(f"{CM}/a?gracePeriodSeconds=x"),
            delete(f"{CM}/a", {**OPTIONS, "kind": "Other"}),
            delete(f"{CM}/a", b"{"),
            delete(f"{CM}/a", b"[]"),
            delete(f"{CM}/a", b"x", kind="text/plain"),
            delete(f"{CM}/a", {"unknown": 1}),
            post(CM, config_map("b"), keep="b"),
            delete(
                f"{CM}/b", {**OPTIONS, "preconditions": {"uid": "<<b.metadata.uid>>", "resourceVersion": "<<b.metadata.resourceVersion>>"}}
            ),
            delete(f"{CM}/b"),
        ),
    ),
    Case(
        "deletion/finalizers",
        (
            post(CM, HELD),
            delete(f"{CM}/held"),
            delete(f"{CM}/held"),
            get(f"{CM}/held"),
            patch(f"{CM}/held", {"data": {"still": "writable"}}),
            patch(f"{CM}/held", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}),
            patch(f"{CM}/held", {"metadata": {"deletionTimestamp": None}}),
            put(f"{CM}/held", config_map("held", finalizers=["example.com/hold"])),
            patch(f"{CM}/held", {"metadata": {"finalizers": None}}),
            get(f"{CM}/held"),
        ),
    ),
    Case(
        "deletion/propagation",
        (
            post(DEPLOYMENTS, deployment("foreground")),
            delete(f"{DEPLOYMENTS}/foreground", {**OPTIONS, "propagationPolicy": "Background"}),
            post(CM, config_map("orphan", finalizers=["example.com/hold"])),
            delete(f"{CM}/orphan", {**OPTIONS, "propagationPolicy": "Orphan", "dryRun": ["All"]}),
            post(CM, config_map("fore", finalizers=["example.com/hold"])),
            delete(f"{CM}/fore", {**OPTIONS, "propagationPolicy": "Foreground", "dryRun": ["All"]}),
            delete(f"{CM}/fore", {**OPTIONS, "orphanDependents": True, "dryRun": ["All"]}),
        ),
    ),
    Case(
        "deletion/pods",
        (
            post(PODS, pod("p", terminationGracePeriodSeconds=7)),
            delete(f"{PODS}/p"),
            post(PODS, pod("bound", nodeName="n", terminationGracePeriodSeconds=7)),
            delete(f"{PODS}/bound"),
            delete(f"{PODS}/bound"),
            delete(f"{PODS}/bound", {**OPTIONS, "gracePeriodSeconds": 3}),
            get(f"{PODS}/bound"),
            delete(f"{PODS}/bound", {**OPTIONS, "gracePeriodSeconds": 0}),
            get(f"{PODS}/bound"),
        ),
    ),
    Case(
        "deletion/collections",
        (
            *(post(CM, config_map(name, labels={"set": "x" if name < "c" else "y"})) for name in ("a", "b", "c")),
            delete(f"{CM}?labelSelector=set%3Dx&dryRun=All"),
            delete(f"{CM}?labelSelector=set%3Dx"),
            get(f"{CM}?labelSelector=set"),
            delete(f"{CM}?labelSelector=set%3Dz"),
            delete(f"{CM}?fieldSelector=nonsense"),
            delete(f"{CM}?labelSelector=%3D"),
            delete(f"{CM}?limit=1&labelSelector=set"),
            delete("/api/v1/configmaps"),
            delete("/api/v1/namespaces"),
            delete("/api/v1/namespaces/<<ns>>-none/configmaps"),
        ),
    ),
    Case(
        "deletion/namespaces",
        (
            delete("/api/v1/namespaces/default"),
            delete("/api/v1/namespaces/kube-system"),
            delete("/api/v1/namespaces/<<ns>>-none"),
            post("/api/v1/namespaces", {"metadata": {"name": "<<ns>>-two", "labels": {"a": "b"}}}),
            put(
                "/api/v1/namespaces/<<ns>>-two/finalize", {"metadata": {"name": "<<ns>>-two"}, "spec": {"finalizers": ["example.com/hold"]}}
            ),
            patch("/api/v1/namespaces/<<ns>>-two", {"spec": {"finalizers": []}}),
            patch("/api/v1/namespaces/<<ns>>-two", {"metadata": {"labels": {"kubernetes.io/metadata.name": "other"}}}),
        ),
    ),
]
