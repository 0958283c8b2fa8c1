# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ControlPlane, class and endpoint mean together; and when a kubeconfig Secret must be written again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.controllers import credentials, documents
from kplane_server.controllers.resolution import Refusal, deletion_policy, resolve, terms, with_path
from kplane_server.model.keys import VcpId
from kplane_server.storage.api import VcpRecord, VcpState
from kplane_server.vcp.plane import DAY, ManagementPlane

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda name: name not in ("root", "clusters"))


def control_plane(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "demo", "uid": "u"}, "spec": spec}


@pytest.mark.parametrize(
    ("own", "of_class", "policy"),
    [(None, None, "Retain"), (None, "Destroy", "Destroy"), ("Retain", "Destroy", "Retain"), ("Destroy", "Retain", "Destroy")],
)
def test_deletion_policy(own: str | None, of_class: str | None, policy: str) -> None:
    spec = {"deletionPolicy": own} if own else {}
    klass = {"spec": {"deletionPolicy": of_class}} if of_class else None
    assert deletion_policy(control_plane(**spec), klass) == policy


@pytest.mark.parametrize(("role", "bound"), [(None, "cluster-admin"), ("admin", "cluster-admin"), ("view", "view"), ("custom", "custom")])
def test_default_role(role: str | None, bound: str) -> None:
    rules = {"auth": {"defaultRole": role}} if role else {}
    assert terms(control_plane(classRef={"name": "c"}), {"spec": rules}).role == bound


@pytest.mark.parametrize("path", ["root", "clusters", "a.b", "-a"])
def test_a_path_that_slipped_through_admission_is_refused_here_too(path: str) -> None:
    with pytest.raises(Refusal) as refusal:
        terms(control_plane(virtual={"clusterPath": path}), None)
    assert refusal.value.reason == "InvalidClusterPath"


def test_which_url_wins() -> None:
    endpoint: dict[str, Any] = {"metadata": {"name": "e"}, "spec": {"endpoint": "https://a"}}
    assert [urlsplit(url).netloc for url in resolve(endpoint, "x")] == ["a", "a", "a"]
    endpoint["spec"]["externalEndpoint"] = "https://b"
    assert [urlsplit(url).netloc for url in resolve(endpoint, "x")] == ["a", "b", "b"]
    endpoint["spec"]["joinEndpoint"] = "https://c"
    assert [urlsplit(url).netloc for url in resolve(endpoint, "x")] == ["a", "b", "c"]
    endpoint["status"] = {"endpoint": "https://s", "externalEndpoint": "https://t"}
    assert [urlsplit(url).netloc for url in resolve(endpoint, "x")] == ["s", "t", "c"]
    with pytest.raises(Refusal):
        resolve({"metadata": {"name": "e"}, "spec": {}}, "x")


@given(LABELS, LABELS)
def test_a_url_never_leads_to_another_control_plane(mine: str, named: str) -> None:
    url = f"https://host/clusters/{named}/control-plane"
    if mine == named:
        assert with_path(url, mine, "e") == url
    else:
        with pytest.raises(Refusal, match="another control plane"):
            with_path(url, mine, "e")
    assert with_path("https://host/prefix/", mine, "e") == f"https://host/prefix/clusters/{mine}/control-plane"


@given(st.text(st.characters(codec="ascii"), max_size=30), LABELS)
def test_any_accepted_url_ends_in_the_path_and_has_it_once(path: str, name: str) -> None:
    try:
        url = with_path(f"https://host/{path}", name, "e")
    except Refusal:
        return
    assert url.endswith(f"/clusters/{name}/control-plane")
    assert url.count("clusters/") == 1 or "clusters" in url.removesuffix(f"/clusters/{name}/control-plane").replace("/clusters/", "")
    assert urlsplit(url).netloc == "host"
    assert '"' not in url


PLANE = ManagementPlane("https://127.0.0.1:8443", 8443, b"CA", b"secret", admin_token_lifetime=30 * DAY)
RECORD = VcpRecord(VcpId(2), "demo", "uid-1", 0, 1, VcpState.ACTIVE)
NOW = 1_800_000_000.0


def current(secret: dict[str, Any], **changes: Any) -> bool:
    made_from = {"plane": PLANE, "record": RECORD, "account_uid": "sa", "internal": "https://i", "external": "https://e", "now": NOW}
    return credentials.is_current(secret, **{**made_from, **changes})


def test_a_secret_is_current_until_anything_it_was_made_from_changes() -> None:
    import dataclasses

    secret = credentials.secret_content(PLANE, "demo", RECORD, "sa", "https://i", "https://e", NOW).document("demo")
    assert current(secret)
    assert current(secret, now=NOW + 19 * DAY)
    assert not current(secret, now=NOW + 21 * DAY)
    assert not current(secret, account_uid="other")
    assert not current(secret, internal="https://x")
    assert not current(secret, external="https://x")
    assert not current(secret, record=dataclasses.replace(RECORD, key_generation=2))
    assert not current(secret, record=dataclasses.replace(RECORD, uid="uid-2"))
    assert not current(secret, plane=dataclasses.replace(PLANE, ca_certificate=b"another"))
    assert not current({**secret, "data": {**secret["data"], "kubeconfig": "damaged"}})
    assert not current({**secret, "data": {}})
    annotations = {**secret["metadata"]["annotations"], "controlplane.kplane.dev/token-expires": "never"}
    assert not current({**secret, "metadata": {**secret["metadata"], "annotations": annotations}})


def test_a_transition_time_moves_with_the_status_alone() -> None:
    first = documents.with_conditions(None, [documents.condition("Ready", False, "A", "a")], 1, "t1")
    second = documents.with_conditions(first, [documents.condition("Ready", False, "B", "b")], 2, "t2")
    assert (second[0]["lastTransitionTime"], second[0]["reason"], second[0]["observedGeneration"]) == ("t1", "B", 2)
    third = documents.with_conditions(second, [documents.condition("Ready", True, "C", "c")], 2, "t3")
    assert third[0]["lastTransitionTime"] == "t3"
    assert len(documents.with_conditions(third, [documents.condition("Other", True, "D", "d")], 2, "t4")) == 2
