# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v3 documents, one for each group version, and their index. Built on demand, as bytes; nothing is kept but a small cache.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry.builtin_schemas import definition_name
from kplane_server.registry.catalog import BUILTIN, DATA, KUBERNETES_VERSION
from kplane_server.registry.gnostic_v3 import encode_document
from kplane_server.registry.openapi_paths import DELETE_OPTIONS_DEFINITION, PATCH_DEFINITION, STATUS_DEFINITION, paths_of, reference
from kplane_server.registry.resource import ResourceInfo

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_REFERENCE: Final = re.compile(rb'"#/components/schemas/([^"]+)"')

#: Changes when this code writes another form, so that clients that cache by hash notice.
_FORM: Final = b"1"

#: How many built-in documents stay in memory; core/v1 is the largest at about 1.2 MB.
_CACHED_DOCUMENTS: Final = 4

_HEAD: Final = {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"}}
_SECURITY: Final = {
    "BearerToken": {"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}
}


class CustomKind(NamedTuple):
    """A custom resource at one version with its ``openAPIV3Schema``, or None where it has none."""

    info: ResourceInfo
    schema: Json


def _read_definitions() -> dict[str, bytes]:
    """Every published definition as JSON text; a megabyte that lives only while a document is built."""
    lines = lzma.decompress((DATA / "definitions.xz").read_bytes()).split(b"\n")
    pairs = (line.partition(b"\t") for line in lines)
    return {name.decode(): text for name, _, text in pairs}


@lru_cache(maxsize=1)
def _data_hash() -> bytes:
    digest = sha256(_FORM)
    for name in ("definitions.xz", "catalog.json"):
        digest.update((DATA / name).read_bytes())
    return digest.digest()


def _closure(roots: Iterable[str], own: Mapping[str, bytes], paths: bytes) -> dict[str, bytes]:
    """The definitions that ``roots`` and ``paths`` reach."""
    shared = _read_definitions()
    wanted = [*roots, *(match.decode() for match in _REFERENCE.findall(paths))]
    found: dict[str, bytes] = {}
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        text = own.get(name) or shared.get(name)
        if text is None:
            continue  # a reference inside a custom schema; the structural rules refuse those, old objects may hold one
        found[name] = text
        wanted += [match.decode() for match in _REFERENCE.findall(text)]
    return found


def _document(paths: Mapping[str, Json], own: Mapping[str, bytes], roots: Iterable[str]) -> bytes:
    path_text = orjson.dumps(dict(sorted(paths.items())))
    definitions = _closure(roots, own, path_text)
    schemas = b",".join(orjson.dumps(name) + b":" + definitions[name] for name in sorted(definitions))
    head = orjson.dumps(_HEAD)[:-1]
    security = orjson.dumps(_SECURITY)
    return b'%b,"paths":%b,"components":{"schemas":{%b},"securitySchemes":%b}}' % (head, path_text, schemas, security)


# -- custom resources ----------------------------------------------------------------------------------------------------------------
def _custom_name(gvk: GroupVersionKind) -> str:
    return ".".join((*reversed(gvk.group.split(".")), gvk.version, gvk.kind))


def _object_reference(definition: str, description: str) -> Json:
    return {"allOf": [reference(definition)], "description": description}


_API_VERSION: Final = {
    "description": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas "
    "to the latest internal value, and may reject unrecognized values.",
    "type": "string",
}
_KIND: Final = {
    "description": "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase.",
    "type": "string",
}
_NO_SCHEMA: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _custom_definitions(kind: CustomKind) -> dict[str, Json]:
    """The definitions of a custom kind and of its list."""
    info = kind.info
    gvk, list_gvk = info.gvk, GroupVersionKind(info.group, info.version, info.list_kind or info.kind + "List")
    schema: dict[str, Json] = dict(kind.schema) if isinstance(kind.schema, dict) else dict(_NO_SCHEMA)
    metadata = _object_reference(_META + "ObjectMeta", "Standard object's metadata.")
    own: dict[str, Json] = schema.get("properties") or {}
    schema["properties"] = {**own, "apiVersion": _API_VERSION, "kind": _KIND, "metadata": metadata}
    schema["x-kubernetes-group-version-kind"] = [gvk._asdict()]
    items = {"type": "array", "description": f"List of {info.resource}.", "items": reference(_custom_name(gvk))}
    properties = {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": _object_reference(_META + "ListMeta", "Standard list metadata."),
        "items": items,
    }
    list_schema = {
        "description": f"{list_gvk.kind} is a list of {info.kind}",
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [list_gvk._asdict()],
    }
    return {_custom_name(gvk): schema, _custom_name(list_gvk): list_schema}


def custom_document(group: str, version: str, kinds: Sequence[CustomKind]) -> bytes:
    """The document of the custom resources of one group version, with the built-in ones of it, if there are any."""
    own: dict[str, bytes] = {}
    for kind in kinds:
        own.update({name: orjson.dumps(schema) for name, schema in _custom_definitions(kind).items()})

    def definition_of(gvk: GroupVersionKind) -> str | None:
        name = _custom_name(gvk)
        return name if name in own else definition_name(gvk)

    paths: dict[str, Json] = {}
    for row in (*BUILTIN.resources(group, version), *(kind.info for kind in kinds)):
        paths.update(paths_of(row, definition_of))
    return _document(paths, own, (*own, STATUS_DEFINITION, DELETE_OPTIONS_DEFINITION, PATCH_DEFINITION))


# -- built-in resources --------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=_CACHED_DOCUMENTS)
def builtin_document(group: str, version: str) -> bytes | None:
    """The document of a built-in group version, or None when it is not served."""
    rows = BUILTIN.resources(group, version)
    if not rows:
        return None
    paths: dict[str, Json] = {}
    for row in rows:
        paths.update(paths_of(row, definition_name))
    return _document(paths, {}, (_META + "APIResourceList", _META + "WatchEvent"))


# -- in protobuf ---------------------------------------------------------------------------------------------------------------------
PROTOBUF_TYPE: Final = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
#: The name that clients ask for still, though an @ may not stand in a media type.
PROTOBUF_TYPES: Final = (PROTOBUF_TYPE, "application/com.github.proto-openapi.spec.v3@v1.0+protobuf")


def custom_protobuf(group: str, version: str, kinds: Sequence[CustomKind]) -> bytes:
    """The same as :func:`custom_document`."""
    return encode_document(orjson.loads(custom_document(group, version, kinds)))


@lru_cache(maxsize=_CACHED_DOCUMENTS)
def builtin_protobuf(group: str, version: str) -> bytes | None:
    """The same as :func:`builtin_document`."""
    document = builtin_document(group, version)
    return None if document is None else encode_document(orjson.loads(document))


# -- the index -----------------------------------------------------------------------------------------------------------------------
def path_of(gv: GroupVersion) -> str:
    """The key of a group version in the index, and its path below ``/openapi/v3``."""
    return f"apis/{gv.group}/{gv.version}" if gv.group else f"api/{gv.version}"


def builtin_hash(gv: GroupVersion) -> str:
    """The hash of a built-in document without building it: a function of the data that it is built from."""
    return sha256(_data_hash() + path_of(gv).encode()).hexdigest().upper()


def custom_hash(kinds: Sequence[CustomKind]) -> str:
    """The hash of a custom document without building it."""
    digest = sha256(_data_hash())
    for kind in kinds:
        row = [*kind.info.gvr, kind.info.kind, kind.info.namespaced, *kind.info.verbs, *kind.info.subresources]
        digest.update(orjson.dumps([row, kind.schema]))
    return digest.hexdigest().upper()


def index(custom: Mapping[GroupVersion, Sequence[CustomKind]]) -> Json:
    """``/openapi/v3`` of a control plane: every group version with the relative URL of its document.

    The URL begins with ``/openapi/v3``, which clients resolve below the server path that they are configured with.
    """
    entries: dict[str, Json] = {}
    groups = (GroupVersion(group, version) for group, versions in BUILTIN.groups().items() for version in versions)
    for gv in groups:
        entries[path_of(gv)] = builtin_hash(gv)
    for gv, kinds in custom.items():
        entries[path_of(gv)] = custom_hash(kinds)
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={entries[path]}"} for path in sorted(entries)}}


def index_hash(custom: Mapping[GroupVersion, Sequence[CustomKind]]) -> str:
    """A hash over all that a control plane serves."""
    return sha256(orjson.dumps(index(custom))).hexdigest().upper()
