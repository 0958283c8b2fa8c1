# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over documents, new ones and changed ones, against the verdicts of Kubernetes 1.34 itself: reasons, places, words.

``upstream/documents`` has the program that asked upstream, and its answers; ``support.rule_documents`` the documents.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.rule_documents import SCHEMA, pairs

from kplane_server.schema.cel.rules import validate_rules
from kplane_server.schema.structural import compile_resource_schema

ANSWERS = (Path(__file__).parent / "upstream" / "documents" / "answers.jsonl").read_text(encoding="utf-8").splitlines()


def test_verdicts_over_documents() -> None:
    schema = compile_resource_schema(SCHEMA)
    refused = changed = 0
    for (document, old), answer in zip(pairs(), ANSWERS, strict=True):
        more: dict[str, Any] = {} if old is None else {"old": old}
        found = sorted([cause.reason, cause.field, cause.message] for cause in validate_rules(document, schema, **more))
        wanted = sorted(json.loads(answer))
        assert found == wanted, (document, old)
        refused += bool(wanted)
        changed += old is not None
    assert 100 < refused < len(ANSWERS)
    assert changed == len(ANSWERS) / 2


def test_what_did_not_change_is_warned_of() -> None:
    schema = compile_resource_schema(SCHEMA)
    warned = 0
    for document, old in pairs():
        if old is not None:
            warnings: list[str] = []
            causes = validate_rules(document, schema, old=old, warn=warnings.append)
            assert not {f"{cause.field}: {cause.message}" for cause in causes} & set(warnings)
            warned += len(warnings)
    assert warned > 20
