# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole judgement of a custom resource: its schema first, then the rules of its schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.cel.budget import Budget
from kplane_server.schema.cel.rules import rules_of, validate_rules
from kplane_server.schema.structural import Schema
from kplane_server.schema.validation import validate

#: After these a rule could not count on the types that the schema promises.
_BLOCKING: Final = frozenset(
    {"FieldValueTypeInvalid", "FieldValueRequired", "FieldValueDuplicate"}
    | {"FieldValueTooLong", "FieldValueTooMany", "FieldValueNotSupported"}
)
_NOT_CHECKED: Final = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)


def resource_causes(
    document: Json, schema: Schema, *, old: Json | None = None, warn: Callable[[str], None] | None = None, budget: Budget | None = None
) -> list[Cause]:
    """What is wrong with a document.

    old: what it was before an update. warn: takes what an update may leave as it is. budget: of the rules. Raises Elsewhere if it says so.
    """
    if old is None:
        causes = validate(document, schema)
    else:
        causes = validate(document, schema, old=old)
    if rules_of(schema) is None:
        return causes
    if any(cause.reason in _BLOCKING for cause in causes):
        return [*causes, _NOT_CHECKED]
    if old is None:
        return [*causes, *validate_rules(document, schema, warn=warn, budget=budget)]
    return [*causes, *validate_rules(document, schema, old=old, warn=warn, budget=budget)]
