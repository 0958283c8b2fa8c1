# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of webhooks: what is taken, what is refused, and that nothing they say gets through unchecked."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.admission.webhook_client import target_of
from kplane_server.admission.webhook_review import Denied, review_version, verdict_of
from kplane_server.model.errors import ApiError
from kplane_server.registry.hooks import HookFailure


def answer(**response: Any) -> dict[str, Any]:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "1", "allowed": True, **response}}


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("response", "why"),
    [
        ({"patch": encoded(b"[]")}, "webhook returned response.patch but not response.patchType"),
        ({"patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        ({"patch": encoded(b"[]"), "patchType": "Other"}, 'unsupported patch type "Other"'),
        ({"patch": encoded(b"{"), "patchType": "JSONPatch"}, "response.patch"),
        ({"patch": "%", "patchType": "JSONPatch"}, "response.patch"),
        ({"allowed": 1}, "cannot unmarshal int"),
        ({"warnings": "x"}, "cannot unmarshal str"),
        ({"status": []}, "cannot unmarshal list"),
        ({"status": {"code": True}}, "cannot unmarshal bool"),
    ],
)
def test_refused(response: dict[str, Any], why: str) -> None:
    with pytest.raises(HookFailure) as caught:
        verdict_of(answer(**response), "v1", "1", mutating=True)
    assert why in str(caught.value)


def test_a_judges_patch_is_of_no_account() -> None:
    assert verdict_of(answer(patch="%"), "v1", "1", mutating=False).patch is None


def test_the_older_review_needs_neither_uid_nor_kind() -> None:
    old = {"response": {"allowed": True, "patch": encoded(b"[]"), "patchType": "JSONPatch"}}
    assert verdict_of(old, "v1beta1", "1", mutating=True).allowed


def test_the_first_version_that_both_know() -> None:
    assert review_version(["v2", "v1beta1", "v1"]) == "v1beta1"
    with pytest.raises(HookFailure):
        review_version(["v2"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["uid", "allowed", "status", "patch", "patchType", "warnings", "auditAnnotations"])
STATUS = st.dictionaries(st.sampled_from(["code", "reason", "message", "details"]), JSON, max_size=4)


@given(st.dictionaries(FIELDS, JSON | STATUS, max_size=7), st.booleans())
def test_whatever_is_answered_is_a_verdict_or_a_failure(response: dict[str, Any], mutating: bool) -> None:
    try:
        verdict = verdict_of({**answer(), "response": response}, "v1", "1", mutating=mutating)
    except HookFailure:
        return
    assert isinstance(verdict.allowed, bool)
    assert all(isinstance(text, str) for text in verdict.warnings)
    error = Denied("w.example.com", verdict.result)
    assert isinstance(error, ApiError)
    assert 400 <= error.code <= 599
    status = error.status()
    assert status["status"] == "Failure"
    assert status["message"].startswith('admission webhook "w.example.com" denied the request')


def test_details_are_passed_on() -> None:
    details = {"name": "n", "causes": [{"reason": "R", "message": "m", "field": "f", "other": 1}], "retryAfterSeconds": 3, "junk": {}}
    verdict = verdict_of(answer(allowed=False, status={"code": 429, "details": details}), "v1", "1", mutating=False)
    error = Denied("w.example.com", verdict.result)
    assert error.retry_after == 3
    cause = {"reason": "R", "message": "m", "field": "f"}
    assert error.status()["details"] == {"name": "n", "causes": [cause], "retryAfterSeconds": 3}


def test_targets() -> None:
    assert target_of({"url": "https://a.b/c"}, 1.5).url == "https://a.b/c?timeout=2s"
    assert target_of({"url": "https://a.b:8443/c"}).url == "https://a.b:8443/c"
    service = {"service": {"name": "s", "namespace": "n"}}
    assert target_of(service, 10).url == "https://s.n.svc:443/?timeout=10s"
    assert (
        target_of({"service": {"name": "s", "namespace": "n", "port": 8443, "path": "/p"}}, 30).url == "https://s.n.svc:8443/p?timeout=30s"
    )
    with pytest.raises(HookFailure):
        target_of({}, 1)
    with pytest.raises(HookFailure, match="root certificates"):
        target_of({"url": "https://a.b/", "caBundle": "%"}, 1)
