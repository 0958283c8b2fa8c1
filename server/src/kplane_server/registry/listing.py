# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists: pages at one revision, continue tokens, the rules of resourceVersion.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import ApiError, BadRequest, Cause, Expired, Json, MethodNotAllowed, Timeout
from kplane_server.model.keys import Scope
from kplane_server.registry import conversion
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Registry
from kplane_server.registry.options import EXACT, ListOptions
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.selection import Selection
from kplane_server.storage.api import Compacted, FutureRevision, Page, Stored, VcpRecord

#: How many objects are read in one step.
_SCAN: Final = 500
#: How long a read waits for a revision that this process has not seen yet, in seconds (upstream: 3 s).
FRESHNESS_TIMEOUT: Final = 3.0
_TOKEN_MAX_LENGTH: Final = 2_048
_INCONSISTENT: Final = -1

_EXPIRED_TOKEN: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and "
    "now may show up in the list."
)


class ListResult(NamedTuple):
    """One page. ``remaining`` is None with selectors, and on the last page."""

    items: list[Stored]
    revision: int
    continue_token: str = ""
    remaining: int | None = None


class ContinuePosition(NamedTuple):
    """What a continue token says: after which object, and at which revision (-1: at the present one).

    left: how many objects follow at that revision; None where it is not known (with selectors always).
    """

    revision: int
    namespace: str
    name: str
    left: int | None = None


class ExpiredContinue(Expired):
    """410 for a continue token, with another token that goes on inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(_EXPIRED_TOKEN)
        self.token = token

    def status(self) -> dict[str, Json]:
        document = super().status()
        document["metadata"] = {"continue": self.token}
        return document


def encode_continue(vcp: VcpRecord, position: ContinuePosition) -> str:
    """A token as upstream writes it, bound to one incarnation of one VCP."""
    start = f"{position.namespace}/{position.name}\0" if position.namespace else f"{position.name}\0"
    document: dict[str, Json] = {"v": "meta.k8s.io/v1", "rv": position.revision, "start": start, "vcp": _binding(vcp)}
    if position.left is not None:
        document["left"] = position.left
    return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()


def decode_continue(vcp: VcpRecord, token: str, namespaced: bool) -> ContinuePosition:
    """The position of a token. Raises BadRequest for anything that this VCP did not write."""
    try:
        if len(token) > _TOKEN_MAX_LENGTH:
            raise ValueError("too long")
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        document = orjson.loads(raw)
    except (ValueError, binascii.Error) as error:
        raise _invalid_token(f"continue key is not valid: {error}") from error
    if not isinstance(document, dict) or document.get("v") != "meta.k8s.io/v1":
        raise _invalid_token("continue key is not valid: server does not recognize this encoded version")
    revision, start = document.get("rv"), document.get("start")
    if not isinstance(revision, int) or isinstance(revision, bool) or not (revision == _INCONSISTENT or revision > 0):
        raise _invalid_token("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not isinstance(start, str) or len(start) < 2 or not start.endswith("\0"):
        raise _invalid_token("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
    if document.get("vcp") != _binding(vcp):
        raise _invalid_token("continue key is not valid: it was not issued here")
    namespace, slash, name = start[:-1].partition("/") if namespaced else ("", "/", start[:-1])
    if not slash or (namespaced and not namespace) or "\0" in start[:-1] or ".." in (namespace, name):
        raise _invalid_token(f"continue key is not valid: {start[:64]!r}")
    left = document.get("left")
    if left is not None and (not isinstance(left, int) or isinstance(left, bool) or left < 1):
        raise _invalid_token("continue key is not valid: the number of objects left is none")
    return ContinuePosition(revision, namespace, name, left)


def _invalid_token(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: {why}")


def _binding(vcp: VcpRecord) -> str:
    """Names the incarnation without telling its uid."""
    return hashlib.sha256(b"continue\0" + vcp.uid.encode()).hexdigest()[:16]


async def settle(registry: Registry, revision: int | None) -> None:
    """Wait, within a bound, until a revision that a client names is visible here. Raises 504 with cause ResourceVersionTooLarge."""
    if revision is None or revision <= registry.store.revision:
        return
    try:
        await registry.store.wait_for(revision, FRESHNESS_TIMEOUT)
    except FutureRevision as error:
        raise too_large(error.revision, error.current) from error


def too_large(revision: int, current: int) -> ApiError:
    """504 of a revision that has not happened."""
    return Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version")],
        retry_after=1,
    )


def list_objects(registry: Registry, info: ResourceInfo, namespace: str | None, options: ListOptions) -> ListResult:
    """One page of a collection; ``namespace`` None or empty: all namespaces."""
    steps = list_steps(registry, info, namespace, options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: ListResult = end.value
            return result


def list_steps(registry: Registry, info: ResourceInfo, namespace: str | None, options: ListOptions) -> Generator[None, None, ListResult]:
    """The same: yields within a long page, so that others may have a turn. All of it is of the moment of the first step."""
    if not info.stored:
        raise MethodNotAllowed(f'list is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group)
    scope = Scope(registry.vcp.id, info.storage_id, namespace or None if info.namespaced else None)
    selection = Selection(info, options.label_selector, options.field_selector)
    after, revision, left = _start(registry, info, options)
    with _explained(registry, after):
        return (yield from _collect(registry, info, scope, selection, options.limit, after, revision, left))


async def list_converted(registry: Registry, info: CustomResourceInfo, namespace: str | None, options: ListOptions) -> ListResult:
    """The same for a row that only a webhook converts: a page is converted before it is judged."""
    scope = Scope(registry.vcp.id, info.storage_id, namespace or None if info.namespaced else None)
    selection = Selection(info, options.label_selector, options.field_selector)
    after, revision, left = _start(registry, info, options)
    limit = options.limit
    found: list[Stored] = []
    while True:
        with _explained(registry, after):
            page = registry.store.page(scope, after=after, limit=limit or _SCAN, revision=revision)
        revision = page.revision
        for item in await registry.converter.read(page.items, info):
            if not selection.matches(item):
                continue
            if limit and len(found) == limit:
                last = found[-1].key
                token = encode_continue(registry.vcp, ContinuePosition(page.revision, last.namespace, last.name))
                return ListResult(_present(found, info), page.revision, token)
            found.append(item)
        if limit and selection.everything:
            return _page_of_all(registry, info, scope, page, found, left)
        if not page.more:
            return ListResult(_present(found, info), page.revision)
        after = _position(page)


@contextmanager
def _explained(registry: Registry, after: tuple[str, str] | None) -> Iterator[None]:
    """What the store says about revisions, as clients are told."""
    try:
        yield
    except Compacted as error:
        if after is not None:
            raise ExpiredContinue(encode_continue(registry.vcp, ContinuePosition(_INCONSISTENT, *after))) from error
        raise Expired("The resourceVersion for the provided list is too old.") from error
    except FutureRevision as error:
        if after is not None:
            raise _invalid_token("continue key is not valid: its resourceVersion was never issued") from error
        raise too_large(error.revision, error.current) from error


def _start(registry: Registry, info: ResourceInfo, options: ListOptions) -> tuple[tuple[str, str] | None, int | None, int | None]:
    """Where the page begins, of which exact revision it is (None: of the present), and how many objects are left there, if known."""
    if options.continue_token:
        position = decode_continue(registry.vcp, options.continue_token, info.namespaced)
        after = (position.namespace, position.name)
        return after, None if position.revision == _INCONSISTENT else position.revision, position.left
    asked = options.resource_version
    if asked is None or asked == 0:
        return None, None, None
    if asked > registry.store.revision:
        raise too_large(asked, registry.store.revision)
    # Without a match, a limit makes the revision exact: the legacy rule of upstream.
    exact = options.resource_version_match == EXACT or (not options.resource_version_match and options.limit > 0)
    return None, asked if exact else None, None


def _collect(
    registry: Registry,
    info: ResourceInfo,
    scope: Scope,
    selection: Selection,
    limit: int,
    after: tuple[str, str] | None,
    revision: int | None,
    left: int | None,
) -> Generator[None, None, ListResult]:
    found: list[Stored] = []
    if selection.everything:
        while True:
            page = registry.store.page(scope, after=after, limit=min(limit - len(found), _SCAN) if limit else _SCAN, revision=revision)
            found += page.items
            if not page.more or len(found) == limit:
                return _page_of_all(registry, info, scope, page, found, left)
            left = page.remaining if page.remaining is not None else None if left is None else left - len(page.items)
            after, revision = _position(page), page.revision
            yield
    if selection.name is not None and revision is None and (scope.namespace or not info.namespaced):
        return _one(registry, info, scope, selection, after)
    while True:
        page = registry.store.page(scope, after=after, limit=_SCAN, revision=revision)
        for item in page.items:
            if selection.matches(item):
                if limit and len(found) == limit:
                    last = found[-1].key
                    token = encode_continue(registry.vcp, ContinuePosition(page.revision, last.namespace, last.name))
                    return ListResult(_present(found, info), page.revision, token)
                found.append(item)
        if not page.more:
            return ListResult(_present(found, info), page.revision)
        after, revision = _position(page), page.revision
        yield


def _position(page: Page) -> tuple[str, str]:
    """Where the next page goes on; it shows the same moment."""
    last = page.items[-1].key
    return last.namespace, last.name


def _one(registry: Registry, info: ResourceInfo, scope: Scope, selection: Selection, after: tuple[str, str] | None) -> ListResult:
    """``metadata.name=x`` in one namespace is a look-up."""
    name = selection.name or ""
    item = registry.find(info, scope.namespace or "", name)
    wanted = item is not None and (after is None or (item.key.namespace, item.key.name) > after) and selection.matches(item)
    return ListResult(_present([item] if wanted and item is not None else [], info), registry.store.revision)


def _present(items: list[Stored], info: ResourceInfo) -> list[Stored]:
    if info.builtin and info.storage_version == (info.group, info.version):
        return items
    return [conversion.read(item, info) for item in items]


def _page_of_all(registry: Registry, info: ResourceInfo, scope: Scope, page: Page, items: list[Stored], left: int | None) -> ListResult:
    """A page without selectors, with the number of what follows it. ``left``: how many were left before it, if the token said so."""
    if not page.more or not page.items:
        return ListResult(_present(items, info), page.revision)
    last = page.items[-1].key
    remaining = page.remaining
    if remaining is None:
        # The number on the token is a client's to forge, for itself alone; at least one follows.
        remaining = max(left - len(page.items), 1) if left is not None else _count_after(registry, scope, page)
    token = encode_continue(registry.vcp, ContinuePosition(page.revision, last.namespace, last.name, remaining))
    return ListResult(_present(items, info), page.revision, token, remaining)


def _count_after(registry: Registry, scope: Scope, page: Page) -> int:
    """How many follow a page that nobody has counted: the first of a revision of the past, or after a token that had expired.

    It costs what a list of all of them would, once for all the pages that follow.
    """
    return len(registry.store.page(scope, after=_position(page), revision=page.revision).items)
