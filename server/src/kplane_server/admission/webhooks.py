# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission webhooks: those that change a request one after the other, then those that judge it, all at once.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from kplane_server.admission.cel_environment import authorizer
from kplane_server.admission.collections import Compiled
from kplane_server.admission.match_conditions import ConditionsFailed
from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.rounds import Rounds
from kplane_server.admission.surroundings import Surroundings
from kplane_server.admission.webhook_configurations import Webhook, compile_webhooks
from kplane_server.admission.webhook_matching import EXEMPT, Equivalents
from kplane_server.admission.webhook_review import Denied, Verdict, request_of, review_of, review_version, verdict_of
from kplane_server.admission.webhook_versions import Shown, internal_error, patched, show, take_back
from kplane_server.model.errors import BadRequest, Json
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersionResource
from kplane_server.registry.aside import judged
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.generic import Registry
from kplane_server.registry.hooks import HookCaller, HookFailure
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.patch.json_patch import equal

log = logging.getLogger(__name__)

_MUTATING: Final = ResourceId("mutatingwebhookconfigurations.admissionregistration.k8s.io")
_VALIDATING: Final = ResourceId("validatingwebhookconfigurations.admissionregistration.k8s.io")


#: How much of an audit annotation of a webhook is kept (characters).
_MAX_ANNOTATION_KEY: Final = 256
_MAX_ANNOTATION: Final = 10 * 1024


class Unanswered(Exception):
    """A webhook could not be asked; its failure policy says what that means."""


class _Webhooks(Plugin):
    """What both kinds share. ``reach``: finds the control plane's registry, which is made after its admission chain."""

    resource: ResourceId

    def __init__(self, reach: Callable[[], Registry], caller: HookCaller, surroundings: Surroundings) -> None:
        self._reach = reach
        self._caller = caller
        self._surroundings = surroundings
        self._hooks = Compiled(self.resource, compile_webhooks)
        self._equivalents = Equivalents()

    def concerns(self, attributes: Attributes) -> bool:
        return bool(self._hooks.of(attributes)) and attributes.info.storage_id not in EXEMPT

    def minds_deletions(self, attributes: Attributes) -> bool:
        return any(rule.is_about(Operation.DELETE) for hook in self._hooks.of(attributes) for rule in hook.matcher.rules)

    def _find(self, hook: Webhook, attributes: Attributes) -> ResourceInfo | None:
        others = self._equivalents.of(attributes.info, self._reach().resources) if hook.matcher.equivalent else ()
        return hook.matcher.find(attributes, others)

    async def _wants(self, hook: Webhook, attributes: Attributes, shown: Shown) -> bool:
        """Whether the match conditions hold. Raises Forbidden where they cannot be judged and the webhook fails closed."""
        if not hook.conditions:
            return True
        variables = {
            "object": shown.object,
            "oldObject": shown.old,
            "request": request_of(attributes, shown.row, "", shown.kind),
            "namespaceObject": None,  # upstream has none for webhooks
            "authorizer": authorizer(attributes, self._surroundings),
        }
        try:
            return await judged(attributes.vcp, partial(hook.conditions.match, variables))
        except ConditionsFailed as error:
            raise forbidden(attributes, str(error)) from error

    async def _ask(self, hook: Webhook, attributes: Attributes, shown: Shown, *, mutating: bool) -> Verdict:
        """One call. Raises Unanswered, and ApiError for what no policy excuses."""
        if attributes.dry_run and not hook.harmless_on_dry_run:
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        uid = str(uuid.uuid4())
        try:
            version = review_version(hook.review_versions)
            review = review_of(request_of(attributes, shown.row, uid, shown.kind), version, shown.object, shown.old)
            verdict = verdict_of(await self._call(hook, review), version, uid, mutating=mutating)
        except HookFailure as error:
            raise Unanswered(f'failed calling webhook "{hook.name}": {error}') from error
        context = attributes.context
        for key, value in verdict.annotations.items():
            context.annotate(f"{hook.name}/{key[:_MAX_ANNOTATION_KEY]}", value[:_MAX_ANNOTATION])
        for warning in verdict.warnings:
            context.warn(warning)
        if not verdict.allowed:
            raise Denied(hook.name, verdict.result)
        return verdict

    async def _call(self, hook: Webhook, review: Json) -> Json:
        try:
            return await self._caller.call(hook.client_config, review, hook.timeout)
        except HookFailure as error:
            raise HookFailure(f"failed to call webhook: {error}") from error

    def _excuse(self, hook: Webhook, attributes: Attributes, failure: Unanswered, kind: str, index: int, round_: int = 0) -> None:
        """Go on without an answer if the failure policy allows it; raises the 500 otherwise."""
        if not hook.fails_open:
            log.debug("control plane %d: failing closed: %s", attributes.vcp, failure)  # whoever can cause it must not fill the log
            raise internal_error(str(failure)) from failure
        log.debug("control plane %d: failing open: %s", attributes.vcp, failure)
        attributes.context.annotate(f"failed-open.{kind}.webhook.admission.k8s.io/round_{round_}_index_{index}", hook.name)


class MutatingWebhooks(_Webhooks):
    name = "MutatingAdmissionWebhook"
    resource = _MUTATING

    def admit(self, attributes: Attributes) -> Awaitable[None]:
        return self._admit(attributes)

    async def _admit(self, attributes: Attributes) -> None:
        """Ask every webhook that is meant, in order; each sees what those before it made of the document."""
        rounds: Rounds = attributes.notes.setdefault(self.name, Rounds())
        if attributes.round and not equal(rounds.output, attributes.object):
            rounds.call_again()
        shown: Shown | None = None
        for hook in self._hooks.of(attributes):
            row = self._find(hook, attributes)
            if row is None or (attributes.round and hook.uid not in rounds.again):
                continue
            if shown is None or shown.row is not row:
                if shown is not None and shown.dirty:
                    await take_back(self._reach(), attributes, shown)
                shown = await show(self._reach(), attributes, row)
            if not await self._wants(hook, attributes, shown):
                continue
            changed = await self._change(hook, attributes, shown)
            if changed:
                rounds.call_again()
                attributes.reinvoke = True
            if hook.reinvoked:
                rounds.invoked.add(hook.uid)
        if shown is not None and shown.dirty:
            await take_back(self._reach(), attributes, shown)
        rounds.output = None if attributes.object is None else copy_json(attributes.object)

    async def _change(self, hook: Webhook, attributes: Attributes, shown: Shown) -> bool:
        """Ask one webhook and apply its patch. True if that changed the document."""
        changed = False
        try:
            verdict = await self._ask(hook, attributes, shown, mutating=True)
        except Unanswered as failure:
            self._excuse(hook, attributes, failure, "mutating", hook.index, attributes.round)
        else:
            if verdict.patch:
                if shown.object is None:
                    why = f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this operation'
                    raise internal_error(why)
                changed = patched(shown, verdict.patch)
        finally:
            told = f'{{"configuration":"{hook.configuration}","webhook":"{hook.name}","mutated":{str(changed).lower()}}}'
            attributes.context.annotate(f"mutation.webhook.admission.k8s.io/round_{attributes.round}_index_{hook.index}", told)
        return changed


class ValidatingWebhooks(_Webhooks):
    name = "ValidatingAdmissionWebhook"
    resource = _VALIDATING

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        hooks = [(hook, row) for hook in self._hooks.of(attributes) if (row := self._find(hook, attributes)) is not None]
        return self._validate(attributes, hooks) if hooks else None

    async def _validate(self, attributes: Attributes, hooks: list[tuple[Webhook, ResourceInfo]]) -> None:
        """Ask all that are meant at once. The first in order that refuses is the answer; the others are heard all the same."""
        views: dict[GroupVersionResource, Shown] = {}
        wanted: list[tuple[Webhook, Shown]] = []
        for hook, row in hooks:
            shown = views.get(row.gvr)
            if shown is None:
                shown = views[row.gvr] = await show(self._reach(), attributes, row)
            if await self._wants(hook, attributes, shown):
                wanted.append((hook, shown))
        if len(wanted) == 1:
            await self._judge(*wanted[0], attributes, 0)
            return
        judging = (self._judge(hook, shown, attributes, index) for index, (hook, shown) in enumerate(wanted))
        for outcome in await asyncio.gather(*judging, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _judge(self, hook: Webhook, shown: Shown, attributes: Attributes, index: int) -> None:
        try:
            await self._ask(hook, attributes, shown, mutating=False)
        except Unanswered as failure:
            self._excuse(hook, attributes, failure, "validating", index)


def webhook_plugins(reach: Callable[[], Registry], caller: HookCaller, surroundings: Surroundings) -> tuple[Plugin, ...]:
    """Both plug-ins of one control plane, in the order of the chain."""
    return (MutatingWebhooks(reach, caller, surroundings), ValidatingWebhooks(reach, caller, surroundings))
