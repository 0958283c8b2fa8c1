# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled schemas: the tree of slotted nodes that pruning, defaulting, validation, patches and apply walk.

A node is compiled from OpenAPI v3 JSON. Named definitions are compiled on demand and shared, so recursion costs nothing
(``JSONSchemaProps`` contains itself), and a node learns its children at the first look at them.

Two families of documents:

- *typed*: the definitions of built-in kinds. They stand for Go structs: unknown fields and nulls vanish when decoded, and
  some fields are always there (:attr:`Schema.present`).
- *untyped*: the ``openAPIV3Schema`` of a CustomResourceDefinition, a structural schema.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.schema.limits import Limits, compile_limits

#: ``Schema.default`` of a node without a default (``None`` is a default that is null).
MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda self: "MISSING", "__slots__": ()})()

_ZERO: Final[dict[str, Json]] = {"string": "", "integer": 0, "number": 0, "boolean": False}
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})


class Schema:
    """One node. Attributes are read-only after compilation, and filled at the first access.

    type: ``object array string integer number boolean``, or empty for any.
    open: unknown properties of an object are kept as they are (``additionalProperties: true``, preserve-unknown-fields, free form).
    additional: the schema of properties that ``properties`` does not name.
    present: typed documents only: fields that a Go struct always has, with their zero value.
    scalar: nothing below this node can be pruned, defaulted or merged.
    """

    __slots__ = (
        "__weakref__",
        "_document",
        "_source",
        "additional",
        "atom",
        "atomic",
        "cel",
        "default",
        "defaults_below",
        "embedded",
        "format",
        "gvks",
        "int_or_string",
        "items",
        "limits",
        "list_keys",
        "list_type",
        "map_type",
        "merge_key",
        "name",
        "nullable",
        "open",
        "patch_strategies",
        "present",
        "preserve",
        "properties",
        "required",
        "rules",
        "scalar",
        "type",
        "typed",
    )

    name: str  # of the definition (``io.k8s.api.core.v1.Pod``), or empty
    type: str
    format: str
    nullable: bool
    properties: dict[str, Schema]
    additional: Schema | None
    items: Schema | None
    required: tuple[str, ...]
    limits: Limits | None
    default: Json
    int_or_string: bool
    preserve: bool
    embedded: bool
    open: bool
    scalar: bool
    atomic: bool
    list_type: str
    list_keys: tuple[str, ...]
    map_type: str
    patch_strategies: tuple[str, ...]
    merge_key: str
    gvks: tuple[tuple[str, str, str], ...]
    rules: tuple[Json, ...]
    present: dict[str, Json]
    typed: bool
    atom: Any  # apply.atoms keeps its view of the node here
    cel: Any  # cel.rules keeps its view of the node here
    defaults_below: Any  # defaulting keeps here whether there is a default at or below the node

    def __init__(self, source: Definitions, document: Mapping[str, Json]) -> None:
        self._source = source
        self._document = document
        self.name = ""
        self.atom = None
        self.cel = None
        self.defaults_below = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in Schema.__slots__:
            raise AttributeError(name)
        self._expand()
        return object.__getattribute__(self, name)

    @property
    def free_form(self) -> bool:
        """Whether some part of the whole schema takes values of any type."""
        return self._source.free_form

    def __repr__(self) -> str:
        return f"<Schema {self.type or 'any'}{' open' if self.open else ''} {len(self.properties)} properties>"

    def _expand(self) -> None:
        source, document = self._source, self._document
        base = source.base_of(document)
        if base is None:
            self._fill(document)
        else:
            self._derive(base, document)

    def _derive(self, base: Schema, document: Mapping[str, Json]) -> None:
        """A reference with a default or a merge rule of its own: all else is the referenced node's."""
        for slot in Schema.__slots__:
            if slot not in ("__weakref__", "_source", "_document", "atom", "cel", "defaults_below"):
                setattr(self, slot, getattr(base, slot))
        self.default = document.get("default", base.default)
        self.nullable = document.get("nullable", base.nullable)
        if "x-kubernetes-map-type" in document:
            self.map_type = document["x-kubernetes-map-type"]
        if "x-kubernetes-list-type" in document:
            self.list_type = document["x-kubernetes-list-type"]
        if "x-kubernetes-patch-strategy" in document:
            self.patch_strategies = tuple(document["x-kubernetes-patch-strategy"].split(","))
            self.merge_key = document.get("x-kubernetes-patch-merge-key", "")

    def _fill(self, document: Mapping[str, Json]) -> None:
        source = self._source
        get = document.get
        self.typed = source.typed
        self.type = kind = get("type") or ""
        self.format = get("format") or ""
        self.nullable = bool(get("nullable"))
        self.default = get("default", MISSING)
        self.int_or_string = bool(get("x-kubernetes-int-or-string")) or self.format == "int-or-string"
        self.preserve = bool(get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(get("x-kubernetes-embedded-resource"))
        self.atomic = document is _RAW_EXTENSION
        self.list_type = get("x-kubernetes-list-type") or ""
        self.list_keys = tuple(get("x-kubernetes-list-map-keys") or ())
        self.map_type = get("x-kubernetes-map-type") or ""
        self.patch_strategies = tuple(s for s in (get("x-kubernetes-patch-strategy") or "").split(",") if s)
        self.merge_key = get("x-kubernetes-patch-merge-key") or ""
        self.gvks = tuple((g["group"], g["version"], g["kind"]) for g in get("x-kubernetes-group-version-kind") or ())
        self.rules = tuple(get("x-kubernetes-validations") or ())
        self.required = tuple(get("required") or ())
        self._fill_children(document)
        self.limits = None if source.typed else compile_limits(document, self._limits_child)
        self.scalar = kind in _SCALARS or self.int_or_string or (not kind and source.typed and bool(get("oneOf")))

    def _fill_children(self, document: Mapping[str, Json]) -> None:
        source, get = self._source, document.get
        properties: dict[str, Schema] = {name: source.compile(child) for name, child in (get("properties") or {}).items()}
        if self.embedded:
            properties = {**_embedded_properties(), **properties}
            own = get("properties") or {}
            if "metadata" in own:
                properties["metadata"] = with_object_meta(own["metadata"])
        self.properties = properties
        additional, items = get("additionalProperties"), get("items")
        self.additional = source.compile(additional) if isinstance(additional, dict) and additional else None
        self.items = source.compile(items) if isinstance(items, dict) else None
        free = not properties and additional is None and source.typed and self.type in ("", "object")
        self.open = self.preserve or additional is True or additional == {} or free
        self.present = _present(document, properties) if source.typed else {}

    def _limits_child(self, document: Mapping[str, Json]) -> Schema:
        """A node inside allOf, anyOf, oneOf or not."""
        return self._source.compile(document)


def _present(document: Mapping[str, Json], properties: Mapping[str, Schema]) -> dict[str, Json]:
    """Fields that are there in every value of a Go struct: nested structs, and what has no ``omitempty``.

    Field ownership depends on it: creating a Deployment does not make anyone the owner of ``spec`` itself.
    """
    found: dict[str, Json] = {}
    required = document.get("required") or ()
    for name, child in (document.get("properties") or {}).items():
        if child.get("default") == {} and "allOf" in child:
            found[name] = {}
        elif name in required:
            found[name] = _ZERO.get(child.get("type") or "", None)
    return found


#: ``runtime.RawExtension``: any object, owned as a whole.
_RAW_EXTENSION: Final[dict[str, Json]] = {"type": "object"}
_RAW_EXTENSION_NAME: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
#: How many different leaves (``{"type": "string"}`` and the like) are shared by all who compile.
_MAX_LEAVES: Final = 4096


class Definitions:
    """Named definitions, compiled on demand. ``load(name)`` gives the document of a name, and raises ``KeyError``.

    ``free_form``: some part takes values of any type, so that true and 1 may both be there and must be told apart.
    """

    def __init__(self, load: Callable[[str], Mapping[str, Json]], *, typed: bool, free_form: bool = True) -> None:
        self.typed = typed
        self.free_form = free_form and not typed
        self._load = load
        self._named: dict[str, Schema] = {}
        self._leaves: dict[bytes, Schema] = {}

    def named(self, name: str) -> Schema:
        """The shared node of a definition. Raises ``KeyError`` for an unknown name."""
        node = self._named.get(name)
        if node is None:
            document = _RAW_EXTENSION if name == _RAW_EXTENSION_NAME else self._load(name)
            node = self._named[name] = Schema(self, document)
            node.name = name
        return node

    def compile(self, document: Mapping[str, Json]) -> Schema:
        """The node of a document: the shared one of a plain reference, else one of its own."""
        name = _reference(document)
        if name is not None and not _overrides(document):
            return self.named(name)
        if "properties" in document or "additionalProperties" in document or "items" in document or name is not None:
            return Schema(self, document)
        relevant = {key: value for key, value in document.items() if key not in _PROSE} if self.typed else document
        key = orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS)
        leaf = self._leaves.get(key)
        if leaf is None:
            leaf = Schema(self, relevant)
            if len(self._leaves) < _MAX_LEAVES:
                self._leaves[key] = leaf
        return leaf

    def base_of(self, document: Mapping[str, Json]) -> Schema | None:
        """The referenced node, for a reference that adds something of its own."""
        name = _reference(document)
        return None if name is None else self.named(name)


_PROSE: Final = frozenset({"description", "title", "example", "externalDocs"})


def _reference(document: Mapping[str, Json]) -> str | None:
    """The name that a node refers to, directly or through ``allOf`` with one member."""
    target = document.get("$ref")
    if target is None:
        parts = document.get("allOf")
        if not isinstance(parts, list) or len(parts) != 1:
            return None
        target = parts[0].get("$ref")
    return target.rpartition("/")[2] if isinstance(target, str) else None


def _overrides(document: Mapping[str, Json]) -> bool:
    """Whether a reference says more than the referenced node. The zero default of a struct is no news."""
    return document.get("default", {}) != {} or "nullable" in document or any(key.startswith("x-kubernetes-") for key in document)


def _no_references(name: str) -> Mapping[str, Json]:
    raise KeyError(name)


def _is_free_form(document: Json) -> bool:
    """Whether a schema leaves the type of any part open."""
    pending: list[Json] = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("x-kubernetes-preserve-unknown-fields") is True or node.get("additionalProperties") in (True, {}):
                return True
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return False


def compile_schema(document: Mapping[str, Json]) -> Schema:
    """Compile the schema of a CustomResourceDefinition, or part of one, as it stands."""
    return Definitions(_no_references, typed=False, free_form=_is_free_form(document)).compile(document)


def compile_resource_schema(document: Mapping[str, Json]) -> Schema:
    """Compile the schema of a custom resource: ``apiVersion``, ``kind`` and ``metadata`` are added as the server knows them."""
    properties = dict(document.get("properties") or {})
    source = Definitions(_no_references, typed=False, free_form=_is_free_form(document))
    root = Schema(source, {**document, "properties": properties})
    metadata = properties.pop("metadata", None)
    for name in ("apiVersion", "kind"):
        properties.setdefault(name, {"type": "string"})
    root.properties["metadata"] = with_object_meta(metadata or {})
    return root


def _object_meta_definition(name: str) -> Mapping[str, Json]:
    return _META_DEFINITIONS[name]


def _strings(**more: Json) -> dict[str, Json]:
    return {"type": "array", "items": {"type": "string"}, **more}


_TIME: Final[dict[str, Json]] = {"type": "string", "format": "date-time", "nullable": True}
_STRING: Final[dict[str, Json]] = {"type": "string"}
_INT64: Final[dict[str, Json]] = {"type": "integer", "format": "int64"}
_STRING_MAP: Final[dict[str, Json]] = {"type": "object", "additionalProperties": {"type": "string"}}
_META_DEFINITIONS: Final[dict[str, dict[str, Json]]] = {
    "ObjectMeta": {
        "type": "object",
        "properties": {
            "annotations": _STRING_MAP,
            "creationTimestamp": _TIME,
            "deletionGracePeriodSeconds": _INT64,
            "deletionTimestamp": _TIME,
            "finalizers": _strings(**{"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}),
            "generateName": _STRING,
            "generation": _INT64,
            "labels": _STRING_MAP,
            "managedFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"$ref": "#/ManagedFieldsEntry"}},
            "name": _STRING,
            "namespace": _STRING,
            "ownerReferences": {
                "type": "array",
                "items": {"$ref": "#/OwnerReference"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "uid",
            },
            "resourceVersion": _STRING,
            "selfLink": _STRING,
            "uid": _STRING,
        },
    },
    "ManagedFieldsEntry": {
        "type": "object",
        "properties": {
            **{key: _STRING for key in ("apiVersion", "fieldsType", "manager", "operation", "subresource")},
            "fieldsV1": {"type": "object"},
            "time": _TIME,
        },
    },
    "OwnerReference": {
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "required": ["apiVersion", "kind", "name", "uid"],
        "properties": {
            **{key: _STRING for key in ("apiVersion", "kind", "name", "uid")},
            **{key: {"type": "boolean"} for key in ("blockOwnerDeletion", "controller")},
        },
    },
}
_META: Final = Definitions(_object_meta_definition, typed=True)


def object_meta_schema() -> Schema:
    """The schema of ``metadata`` of a custom resource."""
    return _META.named("ObjectMeta")


def with_object_meta(document: Mapping[str, Json]) -> Schema:
    """``metadata`` of a custom resource, where the author of the schema may restrict ``name`` and ``generateName``."""
    base = object_meta_schema()
    restrictions = {key: value for key, value in (document.get("properties") or {}).items() if key in ("name", "generateName")}
    if not restrictions:
        return base
    source = Definitions(_no_references, typed=False)
    node = Schema(source, {"type": "object"})
    node.properties.update(base.properties)
    node.properties.update({key: source.compile({"type": "string", **value}) for key, value in restrictions.items()})
    return node


def _embedded_properties() -> dict[str, Schema]:
    """What every embedded resource has without saying so."""
    text = _META.compile(_STRING)
    return {"apiVersion": text, "kind": text, "metadata": object_meta_schema()}
