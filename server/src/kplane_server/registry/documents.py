# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's document as the server takes it: unknown fields dropped and reported, defaults filled in, types checked, fields owned.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import orjson

from kplane_server.model.errors import BadRequest, Cause, Json, field_invalid, invalid
from kplane_server.model.metadata import bare_finalizer_causes
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import check_type
from kplane_server.registry.kinds import schema_of, strategy_of
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.apply import managers
from kplane_server.schema.apply.fieldset import FieldSet
from kplane_server.schema.defaulting import apply_defaults
from kplane_server.schema.pruning import prune, unknown_field_messages
from kplane_server.schema.typecheck import type_mismatch

_LENIENT_GROUPS: Final = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
#: The longest patch that an error repeats (characters).
_SHOWN_PATCH: Final = 512


def accept(info: ResourceInfo, obj: Json, ctx: RequestContext) -> None:
    """Prune and default ``obj`` in place. Raises BadRequest for unknown fields if the client is strict, and for wrong types."""
    schema = schema_of(info)
    _, paths = prune(obj, schema)
    if (paths or ctx.duplicates) and ctx.field_validation != "Ignore":
        _report(info, [*ctx.duplicates, *unknown_field_messages(paths)], ctx)
    complete(info, obj)
    check_types(info, obj)


def complete(info: ResourceInfo, obj: Json) -> None:
    """Fill in defaults, in place: those of the schema (custom resources), or those of the strategy."""
    if isinstance(info, CustomResourceInfo):
        apply_defaults(obj, info.schema)
    strategy_of(info).default(obj)


def _report(info: ResourceInfo, messages: list[str], ctx: RequestContext) -> None:
    if ctx.field_validation == "Warn":
        for message in messages:
            ctx.warn(message)
        return
    raise BadRequest(_cannot_handle(info, "strict decoding error: " + ", ".join(messages)))


def _cannot_handle(info: ResourceInfo, why: str) -> str:
    return f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {why}'


def accept_patched(info: ResourceInfo, obj: Json, ctx: RequestContext, patch: Json) -> None:
    """``check_type`` and ``accept`` for what a patch made: what cannot be decoded is the patch's fault, a 422."""
    try:
        check_type(info, obj)
        accept(info, obj, ctx)
    except BadRequest as error:
        shown = orjson.dumps(patch).decode()[:_SHOWN_PATCH]
        why = error.message.removeprefix(_cannot_handle(info, ""))
        raise invalid("", "", "", [field_invalid("patch", shown, why)]) from error


def check_types(info: ResourceInfo, obj: Json) -> None:
    """A built-in document with a wrong type is a 400, as decoding into its Go type makes it."""
    if info.builtin and (why := type_mismatch(obj, schema_of(info))) is not None:
        raise BadRequest(_cannot_handle(info, why))


def finalizer_causes(info: ResourceInfo, metadata: Json) -> list[Cause]:
    """Custom resources may have finalizers without a domain; the definitions of kinds, and of API servers, are no core kinds either."""
    return bare_finalizer_causes(metadata) if info.builtin and info.group not in _LENIENT_GROUPS else []


def own_created(info: ResourceInfo, obj: Json, ctx: RequestContext, now: str) -> Json:
    """``obj`` with the managedFields of its creation. Writers without a manager (the server's own controllers) own nothing."""
    return own_updated(info, obj, None, ctx, "", now)


def own_updated(info: ResourceInfo, new: Json, old: Json | None, ctx: RequestContext, subresource: str, now: str) -> Json:
    """``new`` with the managedFields of a change (or, without ``old``, of a creation)."""
    if not ctx.field_manager:
        metadata = new["metadata"]
        if old is not None and "managedFields" in old["metadata"]:
            metadata["managedFields"] = old["metadata"]["managedFields"]
        else:
            metadata.pop("managedFields", None)
        return new
    ignored = unowned(strategy_of(info).reset_fields(subresource))
    return managers.update(old, new, ctx.field_manager, schema_of(info), str(info.group_version), subresource, now, ignored=ignored)


@lru_cache(maxsize=256)
def unowned(paths: tuple[tuple[str, ...], ...]) -> FieldSet | None:
    """The fields that a (sub-)resource resets, which therefore nobody owns through it."""
    return managers.ignored_fields(paths) if paths else None
