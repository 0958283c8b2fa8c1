# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists and watches: selectors, pages, revisions, streams."""

from __future__ import annotations

from scenario import Case, apply, delete, get, patch, post, watch

from parity.documents import CM, DEPLOYMENTS, NS, PODS, SERVICES, config_map, deployment, named, pod

THREE = tuple(
    post(CM, config_map(name, {"k": name}, labels={"n": name, **({"even": ""} if name == "b" else {})}), keep=name)
    for name in ("a", "b", "c")
)
SECRETS = f"{NS}/secrets"
#: No controller makes Secrets: pages count the same.
THREE_SECRETS = tuple(
    post(SECRETS, named(name, metadata={"name": name, "labels": {"n": name, **({"even": ""} if name == "b" else {})}}), keep=name)
    for name in ("a", "b", "c")
)
SELECTORS = ["n%3Da", "n%21%3Da", "n+in+(a,b)", "n+notin+(a)", "even", "%21even", "n%3Da,even", "n+in+()", "n%3D%3Db", "n%3E1", "n%3C5"]
WRONG_SELECTORS = ["=", "n+in+a", "n+in+(a", "%21", "n%3Da,", "a+b", "n%3Dbad!value", "-bad%3Dx", "n%3Ex"]
FIELDS = ["metadata.name%3Da", "metadata.name%21%3Da", "metadata.namespace%3D<<ns>>", "metadata.name%3Da,metadata.namespace%3Dother"]
WRONG_FIELDS = ["spec.nodeName%3Dx", "nonsense", "metadata.name", "%3D", "metadata.uid%3Dx"]

CASES = [
    Case(
        "lists/selectors",
        (
            *THREE_SECRETS,
            *(get(f"{SECRETS}?labelSelector={text}") for text in [*SELECTORS, *WRONG_SELECTORS]),
            *(get(f"{SECRETS}?fieldSelector={text}") for text in [*FIELDS, *WRONG_FIELDS]),
            get(f"{SECRETS}/a?labelSelector=x"),
        ),
    ),
    Case(
        "lists/fields of kinds",
        (
            get(f"{PODS}?fieldSelector=status.phase%3DRunning,spec.nodeName%3Dx,spec.restartPolicy%3DAlways"),
            get(f"{PODS}?fieldSelector=status.nonsense%3DRunning"),
            get(f"{NS}/secrets?fieldSelector=type%3DOpaque"),
            get(f"{NS}/events?fieldSelector=involvedObject.name%3Dx,reason%3Dy,type%3DNormal"),
            get(f"{NS}/events?fieldSelector=source%3Dx,reportingComponent%3Dy"),
            get("/api/v1/namespaces?fieldSelector=metadata.name%3D<<ns>>,status.phase%3DActive"),
            get("/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue"),
            get("/apis/apps/v1/namespaces/<<ns>>/replicasets?fieldSelector=status.replicas%3D1"),
            get("/apis/batch/v1/namespaces/<<ns>>/jobs?fieldSelector=status.successful%3D1"),
            get(f"{SERVICES}?fieldSelector=spec.clusterIP%3DNone,spec.type%3DClusterIP"),
            get("/apis/certificates.k8s.io/v1/certificatesigningrequests?fieldSelector=spec.signerName%3Dx.y/z"),
            get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldSelector=spec.group%3Dx"),
        ),
    ),
    Case(
        "lists/pages",
        (
            *THREE_SECRETS,
            get(f"{SECRETS}?limit=2&labelSelector=n", keep="page"),
            get(f"{SECRETS}?limit=2&labelSelector=n&continue=<<page.metadata.continue>>"),
            get(f"{SECRETS}?limit=1", keep="page"),
            get(f"{SECRETS}?limit=1&continue=<<page.metadata.continue>>", keep="page"),
            get(f"{SECRETS}?limit=5&continue=<<page.metadata.continue>>&resourceVersion=5"),
            get(f"{SECRETS}?limit=5&continue=<<page.metadata.continue>>&resourceVersion=0"),
            get(f"{SECRETS}?continue=nonsense"),
            get(f"{SECRETS}?continue=e30="),
            get(f"{SECRETS}?limit=x"),
            get(f"{SECRETS}?limit=-1"),
            get(f"{SECRETS}?limit=0"),
            get(f"{SECRETS}?timeoutSeconds=x"),
        ),
    ),
    Case(
        "lists/revisions",
        (
            *THREE_SECRETS,
            *(
                get(f"{SECRETS}?resourceVersion={revision}{match}{limit}")
                for revision in ("", "0", "<<c.metadata.resourceVersion>>", "x")
                for match in ("", "&resourceVersionMatch=Exact", "&resourceVersionMatch=NotOlderThan", "&resourceVersionMatch=Other")
                for limit in ("", "&limit=2")
            ),
            get(f"{SECRETS}?resourceVersion=<<a.metadata.resourceVersion>>&resourceVersionMatch=Exact"),
            delete(f"{SECRETS}/a"),
            get(f"{SECRETS}?resourceVersion=<<c.metadata.resourceVersion>>&resourceVersionMatch=Exact"),
            get(f"{SECRETS}?resourceVersion=999999999999"),
            get(f"{SECRETS}?resourceVersion=999999999999&resourceVersionMatch=Exact"),
            get(f"{SECRETS}?sendInitialEvents=true"),
            get(f"{SECRETS}?allowWatchBookmarks=true"),
        ),
    ),
    Case(
        "watches/history",
        (
            *THREE,
            patch(f"{CM}/a", {"data": {"k": "2"}}),
            patch(f"{CM}/b", {"metadata": {"labels": {"n": "z"}}}),
            delete(f"{CM}/c"),
            watch(f"{CM}?watch=true&resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1"),
            watch(f"{CM}?watch=1&resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1&labelSelector=n+in+(b,c)"),
            watch(f"{CM}?watch=true&resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1&fieldSelector=metadata.name%3Da"),
            watch(f"{CM}/a?watch=true&resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1"),
            watch("/api/v1/watch/namespaces/<<ns>>/configmaps?resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1"),
            watch("/api/v1/watch/namespaces/<<ns>>/configmaps/a?resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1"),
        ),
    ),
    Case(
        "watches/initial",
        (
            *THREE,
            watch(f"{CM}?watch=true&timeoutSeconds=1&labelSelector=n"),
            watch(f"{CM}?watch=true&resourceVersion=0&timeoutSeconds=1&labelSelector=n"),
            watch(
                f"{CM}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1&labelSelector=n"
            ),
            watch(
                f"{CM}?watch=true&sendInitialEvents=false&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
                "&resourceVersion=<<a.metadata.resourceVersion>>&timeoutSeconds=1&labelSelector=n"
            ),
            watch(f"{CM}?watch=true&sendInitialEvents=true&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&sendInitialEvents=true&resourceVersionMatch=Exact&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&sendInitialEvents=maybe&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&resourceVersionMatch=Exact&resourceVersion=1&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&resourceVersion=x&timeoutSeconds=1"),
            watch(f"{CM}?watch=maybe&timeoutSeconds=1&labelSelector=n"),
            watch(f"{CM}?watch=true&labelSelector=n+in&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&continue=x&timeoutSeconds=1"),
            watch(f"{CM}?watch=true&limit=1&timeoutSeconds=1&labelSelector=n"),
            watch(f"{CM}?watch=true&timeoutSeconds=x"),
        ),
    ),
    Case(
        "lists/workloads",
        (
            post(DEPLOYMENTS, deployment("d")),
            post(PODS, pod("p")),
            get(DEPLOYMENTS),
            get(PODS),
            get(f"{PODS}/p"),
            apply(f"{CM}/applied", config_map("applied")),
            get(f"{CM}?labelSelector=none"),
            get("/apis/apps/v1/namespaces/<<ns>>/statefulsets"),
            get("/apis/rbac.authorization.k8s.io/v1/namespaces/<<ns>>/roles"),
        ),
    ),
]
