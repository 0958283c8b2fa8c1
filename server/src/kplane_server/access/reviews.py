# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about access, asked through the API: who am I, may I, may they, whose token is this.

They are created, answered in their ``status``, and never stored.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from kplane_server.access.attributes import Attributes, for_path
from kplane_server.access.authentication import Authenticator
from kplane_server.access.fields import Fields
from kplane_server.access.jws import BadToken
from kplane_server.access.rbac import PlaneData, RbacAuthorizer, aggregate
from kplane_server.access.rules import FULL_AUTHORITY
from kplane_server.access.tokens import TokenIssuer
from kplane_server.model import timestamps
from kplane_server.model.errors import BadRequest, Cause, Json, field_invalid, field_required, invalid
from kplane_server.model.identity import MASTERS, UserInfo

AUTHENTICATION: Final = "authentication.k8s.io"
AUTHORIZATION: Final = "authorization.k8s.io"


class Plane(Protocol):
    """What a review needs of its control plane."""

    @property
    def api(self) -> PlaneData: ...

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def authorizer(self) -> RbacAuthorizer: ...

    @property
    def issuer(self) -> TokenIssuer: ...


#: (plane, user, namespace of the request, body) → the answered document.
Handler = Callable[[Plane, UserInfo, str, Json], Awaitable[dict[str, Json]]]


async def token_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``TokenReview``: whose token is it, in this control plane."""
    review = Fields(body, "TokenReview")
    spec = review.object("spec")
    token, audiences = spec.text("token"), spec.texts("audiences")
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        found = plane.authenticator.review(token, audiences)
    except BadToken as error:
        return _answer(body, {"user": {}, "error": f"[invalid bearer token, {error}]"})
    return _answer(body, {"authenticated": True, "user": user_document(found.user), "audiences": list(found.audiences)})


async def subject_access_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``SubjectAccessReview``: may somebody do this."""
    review = Fields(body, "SubjectAccessReview")
    spec = review.object("spec")
    subject, asked = _subject(spec), _attributes(spec)
    causes = _spec_causes(spec, with_subject=True) + _metadata_causes(review)
    if causes:
        raise invalid("SubjectAccessReview", AUTHORIZATION, "", causes)
    return _answer(body, _decide(plane, subject, asked))


async def local_subject_access_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``LocalSubjectAccessReview``: the same about one namespace, which may be delegated."""
    review = Fields(body, "LocalSubjectAccessReview")
    spec = review.object("spec")
    subject, attributes = _subject(spec), _attributes(spec)
    given = review.object("metadata").text("namespace")
    if given and given != namespace:
        raise BadRequest(f"the namespace of the provided object does not match the namespace sent on the request: {given!r}")
    causes = _spec_causes(spec, with_subject=True) + _metadata_causes(review, allowed=("namespace",))
    asked = spec.object("resourceAttributes").text("namespace")
    if "resourceAttributes" in spec and asked != namespace:
        causes.append(field_invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"))
    if "nonResourceAttributes" in spec:
        shown = _shown(spec, "nonResourceAttributes")
        causes.append(field_invalid("spec.nonResourceAttributes", shown, "disallowed on this kind of request"))
    if causes:
        raise invalid("LocalSubjectAccessReview", AUTHORIZATION, "", causes)
    answer = _answer(body, _decide(plane, subject, attributes))
    answer["metadata"] = {**(answer.get("metadata") or {}), "namespace": namespace}
    return answer


async def self_subject_access_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``SelfSubjectAccessReview``: may I do this (``kubectl auth can-i``)."""
    review = Fields(body, "SelfSubjectAccessReview")
    spec = review.object("spec")
    asked = _attributes(spec)
    causes = _spec_causes(spec, with_subject=False) + _metadata_causes(review)
    if causes:
        raise invalid("SelfSubjectAccessReview", AUTHORIZATION, "", causes)
    return _answer(body, _decide(plane, user, asked))


async def self_subject_rules_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``SelfSubjectRulesReview``: what all may I do in a namespace (``kubectl auth can-i --list``)."""
    spec = Fields(body, "SelfSubjectRulesReview").object("spec")
    asked = spec.text("namespace")
    if not asked:
        raise BadRequest("no namespace on request")
    held, errors = plane.authorizer.rules_for(user, asked)
    if MASTERS in user.groups:
        held = [*FULL_AUTHORITY, *held]
    status: dict[str, Json] = {
        "resourceRules": [
            {key: value for key, value in rule.document().items() if key != "nonResourceURLs"} for rule in held if rule.resources
        ],
        "nonResourceRules": [
            {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.non_resource_urls)} for rule in held if rule.non_resource_urls
        ],
        "incomplete": False,
    }
    if errors:
        status["evaluationError"] = aggregate(errors)
    return _answer(body, status)


async def self_subject_review(plane: Plane, user: UserInfo, namespace: str, body: Json) -> dict[str, Json]:
    """``SelfSubjectReview``: who am I (``kubectl auth whoami``)."""
    Fields(body, "SelfSubjectReview")
    answer = _answer(body, {"userInfo": user_document(user)})
    answer["metadata"] = {**(answer.get("metadata") or {}), "creationTimestamp": timestamps.now()}
    return answer


#: (group, resource) → who answers it.
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    (AUTHENTICATION, "tokenreviews"): token_review,
    (AUTHENTICATION, "selfsubjectreviews"): self_subject_review,
    (AUTHORIZATION, "subjectaccessreviews"): subject_access_review,
    (AUTHORIZATION, "localsubjectaccessreviews"): local_subject_access_review,
    (AUTHORIZATION, "selfsubjectaccessreviews"): self_subject_access_review,
    (AUTHORIZATION, "selfsubjectrulesreviews"): self_subject_rules_review,
}


def user_document(user: UserInfo) -> dict[str, Json]:
    """``authentication.k8s.io/v1 UserInfo``, without what is empty."""
    document: dict[str, Json] = {"username": user.name}
    if user.uid:
        document["uid"] = user.uid
    if user.groups:
        document["groups"] = list(user.groups)
    if user.extra:
        document["extra"] = {key: list(values) for key, values in user.extra.items()}
    return document


def _subject(spec: Fields) -> UserInfo:
    return UserInfo(spec.text("user"), spec.text("uid"), spec.texts("groups"), spec.text_lists("extra"))


def _decide(plane: Plane, user: UserInfo, asked: Attributes) -> dict[str, Json]:
    decision = plane.authorizer.authorize(user, asked)
    status: dict[str, Json] = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return status


def _attributes(spec: Fields) -> Attributes:
    if "nonResourceAttributes" in spec:
        asked = spec.object("nonResourceAttributes")
        return for_path(asked.text("verb"), asked.text("path"))
    asked = spec.object("resourceAttributes")
    return Attributes(
        asked.text("verb"),
        asked.text("group"),
        asked.text("version") or "*",
        asked.text("resource"),
        asked.text("subresource"),
        asked.text("namespace"),
        asked.text("name"),
    )


def _spec_causes(spec: Fields, *, with_subject: bool) -> list[Cause]:
    causes: list[Cause] = []
    resource, other = "resourceAttributes" in spec, "nonResourceAttributes" in spec
    if resource and other:
        why = "cannot be specified in combination with resourceAttributes"
        causes.append(field_invalid("spec.nonResourceAttributes", _shown(spec, "nonResourceAttributes"), why))
    if not resource and not other:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(field_invalid("spec.resourceAttributes", None, why))
    if with_subject and not spec.text("user") and not spec.texts("groups"):
        causes.append(field_invalid("spec.user", "", "at least one of user or group must be specified"))
    if resource:
        for selector in ("fieldSelector", "labelSelector"):
            if selector in spec.object("resourceAttributes"):
                causes += _selector_causes(spec.object("resourceAttributes").object(selector), f"spec.resourceAttributes.{selector}")
    return causes


def _selector_causes(selector: Fields, path: str) -> list[Cause]:
    """RBAC does not look at selectors; they must make sense all the same."""
    raw, requirements = selector.text("rawSelector"), selector.document().get("requirements")
    if raw and requirements:
        return [field_invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")]
    if not raw and not requirements:
        return [field_required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")]
    return []


def _metadata_causes(review: Fields, allowed: tuple[str, ...] = ()) -> list[Cause]:
    """Metadata of a question means nothing; upstream refuses it rather than dropping it."""
    metadata = review.object("metadata").document()
    ignored = (*allowed, "managedFields", "creationTimestamp" if metadata.get("creationTimestamp") is None else "")
    if any(value not in (None, "", {}, []) for key, value in metadata.items() if key not in ignored):
        why = "must be empty except for namespace" if allowed else "must be empty"
        return [field_invalid("metadata", metadata, why)]
    return []


def _shown(spec: Fields, key: str) -> Json:
    return spec.object(key).document()


def _answer(body: dict[str, Json], status: dict[str, Json]) -> dict[str, Json]:
    """The question with its answer; a status that the client sent is dropped."""
    return {**body, "metadata": body.get("metadata") or {}, "status": status}
