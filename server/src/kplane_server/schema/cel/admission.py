# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions of admission: which variables they know, what they may give, and variables that are worked out when they are needed.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/ and, for the types,
https://github.com/kubernetes/apiserver/blob/v0.34.2/pkg/admission/plugin/cel/compile.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kplane_server.schema.cel.declarations import BOOL, DYN, INT, STRING, Type, list_type, map_type
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.types import expression_type
from kplane_server.schema.cel.values import CompileError, Value

#: The longest expression.
MAX_EXPRESSION: Final = 16 * 1024
#: What expressions of mutations give.
PATCH_LIST: Final = "list(JSONPatch)"
CONFIGURATION: Final = "Object"
_ALWAYS: Final = ("object", "oldObject", "request", "namespaceObject")


def _struct(name: str, /, **fields: Type) -> Type:
    return Type(f"kubernetes.{name}", fields=fields)


_TEXTS: Final = list_type(STRING)
_LABELS: Final = map_type(STRING, STRING)
_TIME: Final = Type("google.protobuf.Timestamp")
_KIND: Final = _struct("GroupVersionKind", group=STRING, version=STRING, kind=STRING)
_RESOURCE: Final = _struct("GroupVersionResource", group=STRING, version=STRING, resource=STRING)
_REQUEST: Final = _struct(
    "AdmissionRequest",
    **dict.fromkeys(("kind", "requestKind"), _KIND),
    **dict.fromkeys(("resource", "requestResource"), _RESOURCE),
    **dict.fromkeys(("subResource", "requestSubResource", "name", "namespace", "operation"), STRING),
    userInfo=_struct("UserInfo", username=STRING, uid=STRING, groups=_TEXTS, extra=map_type(STRING, _TEXTS)),
    dryRun=BOOL,
    options=DYN,
)
_CONDITION: Final = _struct(
    "NamespaceCondition", **dict.fromkeys(("status", "type", "message", "reason"), STRING), lastTransitionTime=_TIME
)
_NAMESPACE: Final = _struct(
    "Namespace",
    metadata=_struct(
        "NamespaceMetadata",
        **dict.fromkeys(("name", "generateName", "namespace", "uid", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("labels", "annotations"), _LABELS),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
        finalizers=_TEXTS,
    ),
    spec=_struct("NamespaceSpec", finalizers=_TEXTS),
    status=_struct("NamespaceStatus", conditions=list_type(_CONDITION), phase=STRING),
)


def declared(*, params: bool = False, authorizer: bool = True, variables: bool = False) -> tuple[str, ...]:
    """The names that an expression knows."""
    extra = (("params", params), ("authorizer", authorizer), ("variables", variables))
    return (*_ALWAYS, *(name for name, known in extra if known))


def scope(*, params: bool = False, authorizer: bool = True, variables: Mapping[str, Type] | None = None) -> dict[str, Type]:
    """The types of the names that an expression knows; ``variables``: those of the policy, ``None`` where there are none."""
    found: dict[str, Type] = {"object": DYN, "oldObject": DYN, "request": _REQUEST, "namespaceObject": _NAMESPACE}
    if params:
        found["params"] = DYN
    if authorizer:
        found["authorizer"] = Type("kubernetes.authorization.Authorizer")
        found["authorizer.requestResource"] = Type("kubernetes.authorization.ResourceCheck")
    if variables is not None:
        found["variables"] = Type("fields", fields=variables)
    return found


def compile_expression(
    text: str,
    *,
    results: Iterable[str] = ("bool",),
    params: bool = False,
    authorizer: bool = True,
    variables: Mapping[str, Type] | None = None,
    patches: bool = False,
) -> tuple[Program, Type]:
    """Compile an expression; also its type, so far as it can be told.

    results: the types that it may give; none for any. variables: those of the policy that are known so far, ``None`` where there
    are none. patches: whether it may make objects and patches. Raises CompileError in upstream's words.
    """
    names = declared(params=params, authorizer=authorizer, variables=variables is not None)
    if len(text) > MAX_EXPRESSION:
        raise CompileError(f"expression too long: {len(text)} characters, at most {MAX_EXPRESSION} are allowed")
    found = expression_type(text, scope(params=params, authorizer=authorizer, variables=variables))
    program = Program(text, names, patches=patches)
    wanted = tuple(results)
    allowed = ("list",) if wanted == (PATCH_LIST,) else wanted
    if wanted and found.name not in (*allowed, "dyn"):
        if patches:
            raise CompileError(f"must evaluate to {wanted[0]} but got {found}")
        raise CompileError(f"must evaluate to {' or '.join('null' if name == 'null_type' else name for name in wanted)}")
    if wanted == (PATCH_LIST,) and found.name == "list" and found.element.name not in ("JSONPatch", "dyn"):
        raise CompileError(f"must evaluate to {PATCH_LIST} but got {found}")
    return program, found


class Variables(dict[str, Any]):
    """``variables``: each is evaluated at its first use, at the cost of whoever uses it, and an error stays an error."""

    def __init__(self, steps: Mapping[str, Callable[[], Value]]) -> None:
        super().__init__()
        self._steps = steps
        self._errors: dict[str, Exception] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def __getitem__(self, name: str) -> Value:
        if name in self._errors:
            raise self._errors[name]
        try:
            return super().__getitem__(name)
        except KeyError:
            pass
        try:
            value = self._steps[name]()
        except Exception as error:
            self._errors[name] = error
            raise
        self[name] = value
        return value
