# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be wrong with a CustomResourceDefinition."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import orjson

from kplane_server.model.errors import (
    Cause,
    Json,
    field_duplicate,
    field_forbidden,
    field_invalid,
    field_not_supported,
    field_required,
)
from kplane_server.model.metadata import dns1035_label_problems, dns1123_subdomain_problems
from kplane_server.registry.strategies.base import Document, Path
from kplane_server.schema.crdschema import check_structural, status_root_causes

API_APPROVED: Final = "api-approved.kubernetes.io"
_COLUMN_TYPES: Final = ("integer", "number", "string", "boolean", "date")
_COLUMN_FORMATS: Final = ("int32", "int64", "float", "double", "byte", "date", "date-time", "password")
_MAX_SELECTABLE: Final = 8
_MAX_ACCEPTED: Final = 4096
#: Digests of schemas without a fault.
_accepted: OrderedDict[bytes, None] = OrderedDict()
_MAX_VERSIONS: Final = 100  # not upstream's: a definition is compiled once for each version


def is_protected(group: str) -> bool:
    """Groups of Kubernetes itself need an approval annotation: https://github.com/kubernetes/enhancements/pull/1111."""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def validate_definition(crd: Document, *, unchanged: Collection[str] = ()) -> list[Cause]:
    """What is wrong with a definition. Types have been checked already.

    unchanged: versions whose schemas are those of a definition that was accepted before.
    """
    spec = crd.get("spec") or {}
    causes = [*_group_causes(crd, spec), *_names_causes(spec), *_versions_causes(spec, unchanged), *_conversion_causes(spec)]
    plural, group = (spec.get("names") or {}).get("plural") or "", spec.get("group") or ""
    name = crd["metadata"].get("name") or ""
    if name != f"{plural}.{group}":
        causes.append(field_invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    if spec.get("preserveUnknownFields"):
        why = "must be false in order to use defaults in the schema"
        causes.append(field_invalid("spec.preserveUnknownFields", True, why))
    return causes


def validate_definition_update(new: Document, old: Document) -> list[Cause]:
    """What is wrong with a change, the fields among it that stay as they are once names are accepted."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    schemas = {version.get("name"): version.get("schema") for version in before.get("versions") or ()}
    unchanged = {version["name"] for version in spec.get("versions") or () if version.get("schema") == schemas.get(version.get("name"))}
    causes = validate_definition(new, unchanged=unchanged)
    fields: tuple[Path, ...] = (("group",),)
    if any(c.get("type") == "Established" and c.get("status") == "True" for c in (old.get("status") or {}).get("conditions") or ()):
        fields = (("group",), ("scope",), ("names", "kind"), ("names", "plural"))
    for path in fields:
        was, now = before, spec
        for step in path:
            was, now = (was or {}).get(step), (now or {}).get(step)
        if was != now:
            causes.append(field_invalid("spec." + ".".join(path), now, "field is immutable"))
    causes.extend(_stored_versions_causes(new, spec))
    return causes


def validate_definition_status(new: Document) -> list[Cause]:
    """What is wrong with a change of the status: the spec stays what it was, however it would be judged today."""
    return list(_stored_versions_causes(new, new.get("spec") or {}))


def _group_causes(crd: Document, spec: Json) -> Iterator[Cause]:
    group = spec.get("group") or ""
    if not group:
        yield field_required("spec.group")
    elif problems := dns1123_subdomain_problems(group):
        yield field_invalid("spec.group", group, ",".join(problems))
    elif len(group.split(".")) < 2:
        yield field_invalid("spec.group", group, "should be a domain with at least one dot")
    scope = spec.get("scope")
    if not scope:
        yield field_required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield field_not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    if is_protected(group) and not (crd["metadata"].get("annotations") or {}).get(API_APPROVED):
        yield field_required(
            f"metadata.annotations[{API_APPROVED}]",
            f'protected groups must have approval annotation "{API_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111',
        )


def _names_causes(spec: Json) -> Iterator[Cause]:
    names = spec.get("names") or {}
    for field, lowered in (("plural", False), ("singular", False), ("kind", True), ("listKind", True)):
        value = names.get(field) or ""
        if not value:
            yield field_required(f"spec.names.{field}")
        elif problems := dns1035_label_problems(value.lower() if lowered else value):
            prefix = "may have mixed case, but should otherwise match: " if lowered else ""
            yield field_invalid(f"spec.names.{field}", value, prefix + ",".join(problems))
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            if problems := dns1035_label_problems(value):
                yield field_invalid(f"spec.names.{field}[{index}]", value, ",".join(problems))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield field_invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _versions_causes(spec: Json, unchanged: Collection[str]) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    if not versions:
        yield field_required("spec.versions")
        return
    if len(versions) > _MAX_VERSIONS:
        yield Cause("FieldValueTooMany", f"Too many: {len(versions)}: must have at most {_MAX_VERSIONS} items", "spec.versions")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        name = version.get("name") or ""
        if problems := dns1035_label_problems(name):
            yield field_invalid(f"{at}.name", name, ",".join(problems))
        if name in seen:
            yield field_invalid("spec.versions", name, "must contain unique version names")
        seen.add(name)
        if version.get("deprecationWarning") is not None and not version.get("deprecated"):
            yield field_invalid(f"{at}.deprecationWarning", version["deprecationWarning"], "can only be set for deprecated versions")
    for value, at, group in _placed(versions, "schema", "validation"):
        yield from _schema_causes(value or {}, f"{at}.openAPIV3Schema", group, unchanged)
    for value, at, _ in _placed(versions, "subresources", "subresources"):
        yield from _subresource_causes(value or {}, at)
    for value, at, _ in _placed(versions, "additionalPrinterColumns", "additionalPrinterColumns"):
        yield from _column_causes(value or [], at)
    for value, at, _ in _placed(versions, "selectableFields", "selectableFields"):
        yield from _selectable_causes(value or [], at)
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield field_invalid("spec.versions", [v.get("name") for v in versions], "must have exactly one version marked as storage version")


def _placed(versions: Sequence[Json], field: str, top: str) -> Iterator[tuple[Json, str, Sequence[Json]]]:
    """A field of each version with its path; one that all versions have alike is judged once, under the name it had in v1beta1."""
    if all(version.get(field) == versions[0].get(field) for version in versions):
        yield versions[0].get(field), f"spec.{top}", versions
        return
    for index, version in enumerate(versions):
        yield version.get(field), f"spec.versions[{index}].{field}", (version,)


def _schema_causes(value: Json, at: str, versions: Sequence[Json], unchanged: Collection[str]) -> Iterator[Cause]:
    schema = value.get("openAPIV3Schema")
    if schema is None:
        yield field_required("spec.versions[0].schema.openAPIV3Schema" if len(versions) > 1 else at, "schemas are required")
        return
    if schema.get("type") != "object":
        yield field_invalid(f"{at}.type", schema.get("type") or "", "must be object at the root")
        return
    causes = _judged(schema, at, unchanged=versions[0].get("name") in unchanged)
    if any((version.get("subresources") or {}).get("status") is not None for version in versions):
        causes.extend(status_root_causes(schema))
    for cause in causes:
        joined = f"{at}.{cause.field}" if cause.field and not cause.field.startswith("[") else at + cause.field
        yield Cause(cause.reason, cause.message, joined)


def _judged(schema: Json, at: str, *, unchanged: bool) -> list[Cause]:
    """What is wrong with a schema; one that was accepted lately, in whatever control plane, is not judged again."""
    digest = blake2b(orjson.dumps(schema), digest_size=32).digest()
    if digest in _accepted:
        _accepted.move_to_end(digest)
        return []
    causes = check_structural(schema, at=at, unchanged=unchanged)
    if not causes and not unchanged:
        _accepted[digest] = None
        if len(_accepted) > _MAX_ACCEPTED:
            _accepted.popitem(last=False)
    return causes


def _subresource_causes(declared: Json, at: str) -> Iterator[Cause]:
    scale = declared.get("scale")
    if scale is None:
        return
    for field, roots, needed in (
        ("specReplicasPath", (".spec.",), True),
        ("statusReplicasPath", (".status.",), True),
        ("labelSelectorPath", (".spec.", ".status."), False),
    ):
        value = scale.get(field)
        if not value:
            if needed:
                yield field_required(f"{at}.scale.{field}")
        elif not value.startswith(roots) or "[" in value:
            allowed = " or ".join(root[:-1] for root in roots)
            yield field_invalid(f"{at}.scale.{field}", value, f"should be a json path under {allowed}")


def _column_causes(columns: Json, at: str) -> Iterator[Cause]:
    for index, column in enumerate(columns):
        here = f"{at}[{index}]"
        if not column.get("name"):
            yield field_required(f"{here}.name")
        kind = column.get("type") or ""
        if not kind:
            yield field_required(f"{here}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
        elif kind not in _COLUMN_TYPES:
            yield field_invalid(f"{here}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}")
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            yield field_invalid(f"{here}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
        path = column.get("jsonPath") or ""
        if not path:
            yield field_required(f"{here}.jsonPath")
        elif path[0] not in ".[{":
            yield field_invalid(f"{here}.jsonPath", path, "is an invalid path: must start with a dot")


def _selectable_causes(fields: Json, at: str) -> Iterator[Cause]:
    if len(fields) > _MAX_SELECTABLE:
        yield Cause("FieldValueTooMany", f"Too many: {len(fields)}: must have at most {_MAX_SELECTABLE} items", at)
    seen: set[str] = set()
    for index, field in enumerate(fields):
        path = field.get("jsonPath") or ""
        here = f"{at}[{index}].jsonPath"
        if not path:
            yield field_required(here)
        elif not path.startswith(".") or "[" in path or path.startswith(".metadata"):
            yield field_invalid(here, path, "is an invalid path: must be a simple path that starts with a dot and is not metadata")
        elif path in seen:
            yield field_duplicate(here, path)
        seen.add(path)


def _conversion_causes(spec: Json) -> Iterator[Cause]:
    conversion = spec.get("conversion") or {}
    strategy = conversion.get("strategy") or ""
    webhook = conversion.get("webhook")
    at = "spec.conversion"
    if strategy == "None":
        if webhook is not None:
            yield field_forbidden(f"{at}.webhook", "should not be set when strategy is not set to Webhook")
    elif strategy == "Webhook":
        if webhook is None or webhook.get("clientConfig") is None:
            yield field_required(f"{at}.webhook.clientConfig", "required when strategy is set to Webhook")
        if webhook is not None and not webhook.get("conversionReviewVersions"):
            yield field_required(f"{at}.webhook.conversionReviewVersions")
    elif not strategy:
        yield field_required(f"{at}.strategy")
    else:
        yield field_not_supported(f"{at}.strategy", strategy, ("None", "Webhook"))


def _stored_versions_causes(new: Document, spec: Json) -> Iterator[Cause]:
    stored = (new.get("status") or {}).get("storedVersions") or []
    names = [version.get("name") for version in spec.get("versions") or ()]
    storage = next((version.get("name") for version in spec.get("versions") or () if version.get("storage")), None)
    if not stored:
        yield field_invalid("status.storedVersions", stored, "must have at least one stored version")
    for index, name in enumerate(stored):
        if name not in names:
            yield field_invalid(f"status.storedVersions[{index}]", name, "must appear in spec.versions")
    if stored and storage is not None and storage not in stored:
        yield field_invalid("status.storedVersions", stored, f"must have the storage version {storage}")
