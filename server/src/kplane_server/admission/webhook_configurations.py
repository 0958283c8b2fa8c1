# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MutatingWebhookConfigurations and ValidatingWebhookConfigurations, compiled: what a call needs, in the order of the calls."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kplane_server.admission.match_conditions import MatchConditions
from kplane_server.admission.webhook_matching import Matcher
from kplane_server.model.errors import Json

log = logging.getLogger(__name__)

_DEFAULT_TIMEOUT: Final = 10
_MAX_TIMEOUT: Final = 30
#: Side effects that a dry run permits.
_HARMLESS: Final = frozenset({"None", "NoneOnDryRun"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of one configuration.

    index: its place among all webhooks of its kind. uid: what tells it from every other one.
    """

    configuration: str
    name: str
    index: int
    uid: str
    client_config: Json
    review_versions: tuple[str, ...]
    matcher: Matcher
    conditions: MatchConditions
    fails_open: bool
    timeout: float
    harmless_on_dry_run: bool
    reinvoked: bool


def compile_webhooks(configurations: Iterable[Json]) -> tuple[Webhook, ...]:
    """The webhooks of all configurations: those by name, the webhooks of each as they are written."""
    found: list[Webhook] = []
    for configuration in sorted(configurations, key=lambda c: str(c["metadata"]["name"])):
        name = configuration["metadata"]["name"]
        for position, document in enumerate(configuration.get("webhooks") or ()):
            try:
                found.append(_compile(name, document, len(found), position))
            except ValueError as error:  # stored before its rules were as strict as now: it cannot say whom it means
                log.warning("webhook %s of %s is left out: %s", document.get("name"), name, error)
    return tuple(found)


def _compile(configuration: str, document: Json, index: int, position: int) -> Webhook:
    fails_open = document.get("failurePolicy") == "Ignore"
    return Webhook(
        configuration=configuration,
        name=document["name"],
        index=index,
        uid=f"{configuration}/{document['name']}/{position}",
        client_config=document.get("clientConfig") or {},
        review_versions=tuple(document.get("admissionReviewVersions") or ()),
        matcher=Matcher.of(document),
        conditions=MatchConditions(document.get("matchConditions") or (), fails_open=fails_open),
        fails_open=fails_open,
        timeout=float(min(document.get("timeoutSeconds") or _DEFAULT_TIMEOUT, _MAX_TIMEOUT)),
        harmless_on_dry_run=document.get("sideEffects") in _HARMLESS,
        reinvoked=document.get("reinvocationPolicy") == "IfNeeded",
    )
