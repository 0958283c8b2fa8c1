# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's document as the server takes it: unknown fields dropped and reported, defaults filled in, types checked, fields owned.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import orjson

from kplane_server.model.errors import BadRequest, Cause, Json, field_invalid, invalid
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.kinds import schema_of, strategy_of
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.apply import managers
from kplane_server.schema.apply.fieldset import FieldSet
from kplane_server.schema.customresource import resource_causes
from kplane_server.schema.defaulting import apply_defaults
from kplane_server.schema.pruning import prune, unknown_field_messages
from kplane_server.schema.typecheck import type_mismatch

#: The longest patch that an error repeats (characters).
_SHOWN_PATCH: Final = 512


def accept(info: ResourceInfo, obj: Json, ctx: RequestContext, *, patch: Json | None = None) -> None:
    """Prune and default ``obj`` in place. Raises BadRequest (or, for a patch, Invalid) for unknown fields if the client is strict."""
    schema = schema_of(info)
    _, paths = prune(obj, schema)
    if (paths or ctx.duplicates) and ctx.field_validation != "Ignore":
        _report(info, [*ctx.duplicates, *unknown_field_messages(paths)], ctx, patch)
    complete(info, obj)
    check_types(info, obj)


def complete(info: ResourceInfo, obj: Json) -> None:
    """Fill in defaults, in place: those of the schema (custom resources), or those of the strategy."""
    if isinstance(info, CustomResourceInfo):
        apply_defaults(obj, info.schema)
    strategy_of(info).default(obj)


def _report(info: ResourceInfo, messages: list[str], ctx: RequestContext, patch: Json | None) -> None:
    if ctx.field_validation == "Warn":
        for message in messages:
            ctx.warn(message)
        return
    text = "strict decoding error: " + ", ".join(messages)
    if patch is None:
        raise BadRequest(f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {text}')
    shown = orjson.dumps(patch).decode()[:_SHOWN_PATCH]
    raise invalid("", "", "", [field_invalid("patch", shown, text)])


def check_types(info: ResourceInfo, obj: Json) -> None:
    """A built-in document with a wrong type is a 400, as decoding into its Go type makes it."""
    if info.builtin and (why := type_mismatch(obj, schema_of(info))) is not None:
        raise BadRequest(f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {why}')


def shape_causes(info: ResourceInfo, obj: Json, old: Json | None = None, warn: Callable[[str], None] | None = None) -> list[Cause]:
    """What the schema of a custom resource, and its rules, have against a document; what an update leaves alone is only warned of."""
    if not isinstance(info, CustomResourceInfo):
        return []
    return resource_causes(obj, info.schema, old=old, warn=warn)


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
