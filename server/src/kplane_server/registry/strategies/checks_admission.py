# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what governs the API itself: webhooks, admission policies, signing requests, flow control, API services, Events."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, field_duplicate, field_forbidden, field_invalid, field_not_supported, field_required
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, join, objects, section
from kplane_server.registry.strategies.checks_policies import match_conditions

_REVIEW_VERSIONS: Final = ("v1", "v1beta1")


# -- webhooks ------------------------------------------------------------------------------------------------------------------------
def webhook(obj: Object, path: str) -> Iterator[Cause]:
    name = obj.get("name") or ""
    if name:
        problems = metadata.dns1123_subdomain_problems(name)
        yield from (field_invalid(join(path, "name"), name, problem) for problem in problems)
        if not problems and len(name.split(".")) < 3:
            yield field_invalid(join(path, "name"), name, "should be a domain with at least three segments separated by dots")
    versions = obj.get("admissionReviewVersions") or []
    if versions and not any(version in _REVIEW_VERSIONS for version in versions):
        why = "must include at least one of v1, v1beta1"
        yield field_invalid(join(path, "admissionReviewVersions"), versions, why)
    effects = obj.get("sideEffects")
    if effects in ("Unknown", "Some"):
        yield field_not_supported(join(path, "sideEffects"), effects, ["None", "NoneOnDryRun"])
    yield from client_config(section(obj, "clientConfig"), join(path, "clientConfig"))
    yield from match_conditions(obj, path)


def client_config(obj: Object, path: str) -> Iterator[Cause]:
    """Where a webhook is: a URL or a Service."""
    url, service = obj.get("url"), obj.get("service")
    if (url is None) == (service is None):
        yield field_required(path, "exactly one of url or service is required")
    if isinstance(url, str):
        yield from _url(url, join(path, "url"))
    if isinstance(service, dict) and service.get("path"):
        text = service["path"]
        if not text.startswith("/"):
            yield field_invalid(join(path, "service", "path"), text, "must start with a '/'")
        elif "//" in text or "?" in text or "#" in text:
            yield field_invalid(join(path, "service", "path"), text, "segment[0] may not be empty")


def _url(url: str, path: str) -> Iterator[Cause]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield field_required(path, f"url must be a valid URL: {error}{form}")
        return
    if parts.scheme != "https":
        yield field_invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.netloc:
        yield field_invalid(path, parts.netloc, f"host must be specified{form}")
    for what, present in (("user information", "@" in parts.netloc), ("fragments", parts.fragment), ("query parameters", parts.query)):
        if present:
            yield field_invalid(path, url, f"{what} {'is' if what.startswith('user') else 'are'} not permitted in the URL")


def rule(obj: Object, path: str) -> Iterator[Cause]:
    """The operations and resources that something is called for."""
    if not obj.get("operations"):
        yield field_required(join(path, "operations"))
    elif "*" in obj["operations"] and len(obj["operations"]) > 1:
        yield field_invalid(join(path, "operations"), obj["operations"], "if '*' is present, must not specify other operations")
    for field in ("apiGroups", "apiVersions", "resources"):
        values = obj.get(field) or []
        if not values:
            yield field_required(join(path, field))
        elif "*" in values and len(values) > 1 and field != "resources":
            yield field_invalid(join(path, field), values, f"if '*' is present, must not specify other {_plural(field)}")
    scope = obj.get("scope")
    if scope not in (None, "*", "Cluster", "Namespaced"):
        yield field_not_supported(join(path, "scope"), scope, ["*", "Cluster", "Namespaced"])


def _plural(field: str) -> str:
    return {"apiGroups": "API groups", "apiVersions": "API versions"}[field]


# -- admission policies --------------------------------------------------------------------------------------------------------------
def policy_binding_spec(obj: Object, path: str) -> Iterator[Cause]:
    actions = obj.get("validationActions") or []
    at = join(path, "validationActions")
    if "Deny" in actions and "Warn" in actions:
        why = "repeating the same validation failure information in the API response and headers serves no purpose"
        yield field_invalid(at, actions, f"must not contain both Deny and Warn ({why})")
    for index, action in enumerate(actions):
        if action in actions[:index]:
            yield field_duplicate(f"{at}[{index}]", action)
    yield from param_ref(obj, path)


def param_ref(obj: Object, path: str) -> Iterator[Cause]:
    """The parameters of a binding."""
    reference = obj.get("paramRef")
    if isinstance(reference, dict):
        if bool(reference.get("name")) == (reference.get("selector") is not None):
            yield field_required(join(path, "paramRef", "name"), "one of name or selector must be specified")
        if reference.get("parameterNotFoundAction") is None:
            yield field_required(join(path, "paramRef", "parameterNotFoundAction"))


# -- certificates --------------------------------------------------------------------------------------------------------------------
_PEM: Final = re.compile(rb"\s*-----BEGIN CERTIFICATE REQUEST-----\s.+-----END CERTIFICATE REQUEST-----\s*", re.DOTALL)


def signing_request_spec(obj: Object, path: str) -> Iterator[Cause]:
    request = obj.get("request")
    if isinstance(request, str) and request and not _PEM.fullmatch(b64decode(request)):
        yield field_invalid(join(path, "request"), "<omitted>", "PEM block type must be CERTIFICATE REQUEST")
    usages = obj.get("usages") or []
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            yield field_duplicate(f"{join(path, 'usages')}[{index}]", usage)
    signer = obj.get("signerName") or ""
    if signer:
        yield from _signer_name(signer, join(path, "signerName"))


def _signer_name(signer: str, path: str) -> Iterator[Cause]:
    domain, slash, rest = signer.partition("/")
    if not slash or not rest:
        yield field_invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    if "/" in rest:
        yield field_invalid(path, signer, "must not contain more than one '/'")
        return
    for problem in metadata.dns1123_subdomain_problems(domain):
        yield field_invalid(path, domain, problem)
    if "." not in domain:
        yield field_invalid(path, domain, "should be a domain with at least two segments separated by dots")
    for problem in metadata.dns1123_subdomain_problems(rest):
        yield field_invalid(path, rest, problem)


def signing_request_status(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    """What was decided stays decided. ``/status`` decides nothing; ``/approval`` does nothing else."""
    conditions, before = (objects(section(o, "status"), "conditions") for o in (new, old))
    types, known = {c.get("type") for c in conditions}, {c.get("type") for c in before}
    at = "status.conditions"
    causes = []
    for kind in ("Approved", "Denied", "Failed"):
        if kind in known and kind not in types:
            causes.append(field_forbidden(at, f'updates may not remove a condition of type "{kind}"'))
        if kind in types - known and kind != "Failed" and ctx.subresource == "status":
            causes.append(field_forbidden(at, f'updates may not add a condition of type "{kind}"'))
    if "Approved" in types and "Denied" in types:
        causes.append(field_invalid(at, "Denied", "Approved and Denied conditions are mutually exclusive"))
    for index, condition in enumerate(conditions):
        if not condition.get("type"):
            causes.append(field_required(f"{at}[{index}].type"))
        if condition.get("type") in ("Approved", "Denied", "Failed") and condition.get("status") != "True":
            causes.append(field_not_supported(f"{at}[{index}].status", condition.get("status") or "", ["True"]))
    return causes


# -- flow control --------------------------------------------------------------------------------------------------------------------
def priority_level_spec(obj: Object, path: str) -> Iterator[Cause]:
    kind = obj.get("type")
    if kind not in ("Exempt", "Limited"):
        yield field_not_supported(join(path, "type"), kind or "", ["Exempt", "Limited"])
    if kind == "Limited" and obj.get("limited") is None:
        yield field_required(join(path, "limited"), "must not be empty when type is Limited")
    limited = obj.get("limited")
    if isinstance(limited, dict) and limited.get("limitResponse") is None:
        yield field_not_supported(join(path, "limited", "limitResponse", "type"), "", ["Queue", "Reject"])
    if kind == "Limited" and obj.get("exempt") is not None:
        yield field_forbidden(join(path, "exempt"), "must be nil if the type is Limited")
    if kind == "Exempt" and obj.get("limited") is not None:
        yield field_forbidden(join(path, "limited"), "must be nil if the type is not Limited")


def limit_response(obj: Object, path: str) -> Iterator[Cause]:
    kind = obj.get("type")
    if kind not in ("Queue", "Reject"):
        yield field_not_supported(join(path, "type"), kind or "", ["Queue", "Reject"])
    if kind == "Queue" and obj.get("queuing") is None:
        yield field_required(join(path, "queuing"), "must not be empty if limit response is Queue")
    if kind == "Reject" and obj.get("queuing") is not None:
        yield field_forbidden(join(path, "queuing"), "must be nil if limited.limitResponse.type is not Limited")


def flow_subject(obj: Object, path: str) -> Iterator[Cause]:
    fields = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
    kind = obj.get("kind") or ""
    if kind not in fields:
        yield field_not_supported(join(path, "kind"), kind, sorted(fields))
        return
    for name, field in fields.items():
        if name == kind and obj.get(field) is None:
            yield field_required(join(path, field), f"{field} is required when subject kind is '{kind}'")
        if name != kind and obj.get(field) is not None:
            yield field_forbidden(join(path, field), f"{field} is forbidden when subject kind is not '{name}'")


# -- API services and Events ---------------------------------------------------------------------------------------------------------
def api_service(obj: Document, ctx: StrategyContext) -> list[Cause]:
    spec = section(obj, "spec")
    name = section(obj, "metadata").get("name") or ""
    wanted = ".".join((spec.get("version") or "", spec.get("group") or ""))
    causes = []
    if name != wanted:
        causes.append(field_invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
    if not spec.get("version"):
        causes.append(field_required("spec.version"))
    for field, low, high in (("groupPriorityMinimum", 1, 20000), ("versionPriority", 1, 1000)):
        value = spec.get(field) or 0
        if not low <= value <= high:
            causes.append(field_invalid(f"spec.{field}", value, "must be positive and less than " + str(high)))
    if spec.get("service") is None and (spec.get("caBundle") or spec.get("insecureSkipTLSVerify")):
        causes.append(field_invalid("spec.caBundle", "", "local APIServices may not have a caBundle"))
    return causes


def event(obj: Document, ctx: StrategyContext) -> list[Cause]:
    """An Event is in the namespace of what it is about; one about something without a namespace is in ``default`` or ``kube-system``."""
    about = section(obj, "involvedObject") or section(obj, "regarding")
    field = "involvedObject" if ctx.info.group == "" else "regarding"
    namespace, own = about.get("namespace") or "", section(obj, "metadata").get("namespace") or ""
    if namespace and namespace != own:
        return [field_invalid(f"{field}.namespace", namespace, "does not match event.namespace")]
    if not namespace and own not in ("default", "kube-system"):
        return [field_invalid(f"{field}.namespace", namespace, "does not match event.namespace")]
    return _new_event(obj) if ctx.info.group else []


def _new_event(obj: Document) -> list[Cause]:
    """The stricter rules of events.k8s.io, for events of its own making."""
    fields = ("eventTime", "reportingController", "reportingInstance", "reason", "action")
    causes = [field_required(name) for name in fields if not obj.get(name)]
    if reporter := obj.get("reportingController"):
        causes += [field_invalid("reportingController", reporter, problem) for problem in metadata.qualified_name_problems(reporter)]
    if len(obj.get("note") or "") > 1024:
        causes.append(field_invalid("message", "", "can have at most 1024 characters"))
    return causes
