# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of an OpenAPI v3 document, written from rows. Built-in and custom resources take the same form.

What clients read here: kubectl finds a kind by its path (explain), looks for ``application/strategic-merge-patch+json`` among a
patch's content types (apply), and for the query parameters ``dryRun`` and ``fieldValidation``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.resource import ResourceInfo

#: Kind → name of its definition, or None when the document has none.
DefinitionOf = Callable[[GroupVersionKind], str | None]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS_DEFINITION: Final = _META + "Status"
DELETE_OPTIONS_DEFINITION: Final = _META + "DeleteOptions"
PATCH_DEFINITION: Final = _META + "Patch"

_PATCH_TYPES: Final = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_CONTENT_TYPES: Final = ("application/json", "application/yaml")
_STREAM_TYPES: Final = ("application/json;stream=watch",)

#: Query parameters: name → (type, description).
_QUERY: Final[dict[str, tuple[str, str]]] = {
    "pretty": ("string", "If 'true', then the output is pretty printed."),
    "dryRun": ("string", "When present, indicates that modifications should not be persisted. Valid values are: All."),
    "fieldManager": ("string", "A name associated with the actor or entity that is making these changes; at most 128 characters."),
    "fieldValidation": ("string", "What to do with unknown or duplicate fields. Valid values are: Ignore, Warn, Strict."),
    "force": ("boolean", "Force acquires conflicting fields owned by other managers. For apply patches only."),
    "gracePeriodSeconds": ("integer", "The duration in seconds before the object should be deleted; zero means at once."),
    "orphanDependents": ("boolean", "Deprecated: use propagationPolicy."),
    "propagationPolicy": ("string", "Whether and how garbage collection is done: Orphan, Background or Foreground."),
    "allowWatchBookmarks": ("boolean", "Requests watch events of type BOOKMARK."),
    "continue": ("string", "The token of the page before, to fetch the next one."),
    "fieldSelector": ("string", "Restricts the returned objects by their fields."),
    "labelSelector": ("string", "Restricts the returned objects by their labels."),
    "limit": ("integer", "The largest number of objects to return; the answer holds a continue token if there are more."),
    "resourceVersion": ("string", "A constraint on what resource versions a request may be served from."),
    "resourceVersionMatch": ("string", "How resourceVersion is applied to lists: Exact or NotOlderThan."),
    "sendInitialEvents": ("boolean", "A watch begins with synthetic events of the current state, ended by a bookmark."),
    "timeoutSeconds": ("integer", "How long the list or watch may last."),
    "watch": ("boolean", "Stream changes of the collection instead of listing it."),
}

_WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
_DELETE: Final = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_LIST: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)


def reference(definition: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{definition}"}


def _query(names: Iterable[str]) -> list[Json]:
    return [
        {"name": name, "in": "query", "description": _QUERY[name][1], "schema": {"type": _QUERY[name][0], "uniqueItems": True}}
        for name in names
    ]


def _path_parameter(name: str, description: str) -> Json:
    return {"name": name, "in": "path", "description": description, "required": True, "schema": {"type": "string", "uniqueItems": True}}


def _content(definition: str, types: Iterable[str] = _CONTENT_TYPES) -> Json:
    return {content_type: {"schema": reference(definition)} for content_type in types}


def _responses(definition: str, *codes: str, stream: bool = False) -> Json:
    texts = {"200": "OK", "201": "Created", "202": "Accepted"}
    types = (*_CONTENT_TYPES, *_STREAM_TYPES) if stream else _CONTENT_TYPES
    answers: dict[str, Json] = {code: {"description": texts[code], "content": _content(definition, types)} for code in codes}
    answers["401"] = {"description": "Unauthorized"}
    return answers


class _Writer:
    """Writes the operations of one row."""

    def __init__(self, info: ResourceInfo, definition: str, definition_of: DefinitionOf) -> None:
        self.info = info
        self.definition = definition
        self.definition_of = definition_of
        group = info.group.removesuffix(".k8s.io").replace("-", " ").replace(".", " ").title().replace(" ", "") or "Core"
        self.prefix = group + info.version.title()
        self.scope = "Namespaced" if info.namespaced else ""

    def operation(self, verb: str, action: str, kind: GroupVersionKind, suffix: str, **rest: Any) -> Json:
        tag = f"{self.info.group.replace('.k8s.io', '').replace('.', '_').replace('-', '_') or 'core'}_{self.info.version}"
        return {
            "description": f"{verb} {kind.kind}",
            "operationId": f"{verb.split()[0]}{self.prefix}{suffix}",
            "tags": [tag],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind._asdict(),
            **rest,
        }

    def body(self, definition: str, required: bool = True) -> Json:
        return {"content": {"*/*": {"schema": reference(definition)}}, **({"required": True} if required else {})}

    def list_operation(self, suffix: str) -> Json:
        list_kind = GroupVersionKind(self.info.group, self.info.version, self.info.list_kind or self.info.kind + "List")
        definition = self.definition_of(list_kind) or self.definition
        responses = _responses(definition, "200", stream=True)
        return self.operation("list", "list", self.info.gvk, suffix, parameters=_query(_LIST), responses=responses)

    def collection(self) -> Json:
        info, suffix, item = self.info, self.scope + self.info.kind, {}
        if "list" in info.verbs:
            item["get"] = self.list_operation(suffix)
        if "create" in info.verbs:
            item["post"] = self.operation(
                "create", "post", info.gvk, suffix,
                parameters=_query(_WRITE), requestBody=self.body(self.definition),
                responses=_responses(self.definition, "200", "201", "202"),
            )  # fmt: skip
        if "deletecollection" in info.verbs:
            item["delete"] = self.operation(
                "delete collection of", "deletecollection", info.gvk, "Collection" + suffix,
                parameters=_query((*_DELETE, *(name for name in _LIST if name not in ("watch", "allowWatchBookmarks")))),
                requestBody=self.body(DELETE_OPTIONS_DEFINITION, False), responses=_responses(STATUS_DEFINITION, "200"),
            )  # fmt: skip
        return item

    def item(self, verbs: Iterable[str], kind: GroupVersionKind, definition: str, subresource: str) -> Json:
        """The operations on one object or one of its sub-resources."""
        suffix = self.scope + self.info.kind + subresource.title()
        what = f"{subresource} of the specified" if subresource else "the specified"
        operations: dict[str, Json] = {}
        if "get" in verbs:
            operations["get"] = self.operation(f"read {what}", "get", kind, suffix, responses=_responses(definition, "200"))
        if "update" in verbs:
            operations["put"] = self.operation(
                f"replace {what}", "put", kind, suffix,
                parameters=_query(_WRITE), requestBody=self.body(definition), responses=_responses(definition, "200", "201"),
            )  # fmt: skip
        if "patch" in verbs:
            types = (*_PATCH_TYPES, _STRATEGIC) if self.info.builtin else _PATCH_TYPES
            operations["patch"] = self.operation(
                f"partially update {what}", "patch", kind, suffix,
                parameters=_query((*_WRITE, "force")), requestBody={"content": _content(PATCH_DEFINITION, types), "required": True},
                responses=_responses(definition, "200", "201"),
            )  # fmt: skip
        if "create" in verbs and subresource:
            operations["post"] = self.operation(
                f"create {what}", "post", kind, suffix,
                parameters=_query(_WRITE), requestBody=self.body(definition), responses=_responses(definition, "200", "201", "202"),
            )  # fmt: skip
        if "delete" in verbs:
            operations["delete"] = self.operation(
                f"delete {what}", "delete", kind, suffix,
                parameters=_query(_DELETE), requestBody=self.body(DELETE_OPTIONS_DEFINITION, False),
                responses=_responses(STATUS_DEFINITION, "200", "202"),
            )  # fmt: skip
        return operations


def paths_of(info: ResourceInfo, definition_of: DefinitionOf) -> dict[str, Json]:
    """The paths of one resource with its sub-resources. Those whose kind has no definition (``exec``, ``log``…) have no path here."""
    definition = definition_of(info.gvk)
    if definition is None:
        return {}
    writer = _Writer(info, definition, definition_of)
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    pretty = _query(("pretty",))
    namespace = [_path_parameter("namespace", "object name and auth scope, such as for teams and projects")] if info.namespaced else []
    name = [_path_parameter("name", f"name of the {info.kind}")]
    base = f"{root}/namespaces/{{namespace}}/{info.resource}" if info.namespaced else f"{root}/{info.resource}"
    paths: dict[str, Json] = {base: {**writer.collection(), "parameters": [*namespace, *pretty]}}
    if info.namespaced and "list" in info.verbs:
        paths[f"{root}/{info.resource}"] = {"get": writer.list_operation(info.kind + "ForAllNamespaces"), "parameters": pretty}
    if operations := writer.item([verb for verb in info.verbs if verb != "create"], info.gvk, definition, ""):
        paths[f"{base}/{{name}}"] = {**operations, "parameters": [*name, *namespace, *pretty]}
    for sub in info.subresources.values():
        sub_definition = definition_of(sub.kind)
        if sub_definition is not None:
            operations = writer.item(sub.verbs, sub.kind, sub_definition, sub.name)
            paths[f"{base}/{{name}}/{sub.name}"] = {**operations, "parameters": [*name, *namespace, *pretty]}
    return paths
