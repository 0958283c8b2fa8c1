# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategic merge patch: a merge patch whose lists merge by key, with directives.

Directives: ``$patch`` (replace, delete, merge), ``$retainKeys``, ``$deleteFromPrimitiveList/<field>``, ``$setElementOrder/<field>``.
Source: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from kplane_server.model.errors import BadRequest, Json
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.structural import Schema

_DIRECTIVE: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM_LIST: Final = "$deleteFromPrimitiveList/"
_ELEMENT_ORDER: Final = "$setElementOrder/"


def apply(document: Json, patch: Json, schema: Schema) -> Json:
    """``document`` with ``patch`` merged by the rules of ``schema``. Raises BadRequest for a patch against the format."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document: a strategic merge patch must be an object")
    return _merge_map(copy_json(document or {}), copy_json(patch), schema)


class _Strategy:
    """How the patch of one field is merged."""

    __slots__ = ("key", "kind", "schema")

    def __init__(self, parent: Schema | None, name: str, *, of_list: bool) -> None:
        node = None if parent is None else parent.properties.get(name, parent.additional)
        self.kind = next((s for s in node.patch_strategies if s != "retainKeys"), "") if node is not None else ""
        self.key = node.merge_key if node is not None else ""
        self.schema = node if node is None or not of_list else node.items


def _merge_map(original: dict[str, Json], patch: dict[str, Json], schema: Schema | None) -> dict[str, Json]:
    directive = patch.get(_DIRECTIVE)
    if directive is not None:
        if directive == "replace":
            del patch[_DIRECTIVE]
            return dict(_without_directives(patch))
        if directive == "delete":
            return {}
        if directive != "merge":
            raise BadRequest(f"unknown patch type: {directive} in map: {_names(patch)}")
        del patch[_DIRECTIVE]
    _retain_keys(original, patch)
    for name in [n for n in patch if n.startswith(_ELEMENT_ORDER)]:
        _merge_ordered(original, patch, name, schema)
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM_LIST):
            _delete_from_list(original, name.removeprefix(_DELETE_FROM_LIST), value)
        elif value is None:
            original.pop(name, None)
        else:
            _merge_field(original, name, value, schema)
    return original


def _merge_field(original: dict[str, Json], name: str, value: Json, schema: Schema | None) -> None:
    current = original.get(name)
    if isinstance(current, dict) and isinstance(value, dict):
        strategy = _Strategy(schema, name, of_list=False)
        original[name] = value if strategy.kind == "replace" else _merge_map(current, value, strategy.schema)
    elif isinstance(current, list) and isinstance(value, list):
        strategy = _Strategy(schema, name, of_list=True)
        original[name] = _merge_list(current, value, strategy) if strategy.kind == "merge" else value
    else:
        kept = _without_directives(value)
        if kept is _NOTHING:
            original.pop(name, None)
        else:
            original[name] = kept


_NOTHING: Final = object()


def _without_directives(value: Json) -> Json:
    """A value that is new to the document: no directives, no nulls; ``_NOTHING`` if the directive is for the value itself."""
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return _NOTHING
        children = {name: _without_directives(child) for name, child in value.items() if child is not None and not _is_directive(name)}
        return {name: child for name, child in children.items() if child is not _NOTHING}
    if isinstance(value, list):
        return [kept for child in value if (kept := _without_directives(child)) is not _NOTHING]
    return value


def _is_directive(name: str) -> bool:
    return name == _RETAIN_KEYS or name.startswith((_DELETE_FROM_LIST, _ELEMENT_ORDER))


def _retain_keys(original: dict[str, Json], patch: dict[str, Json]) -> None:
    if _RETAIN_KEYS not in patch:
        return
    retained = patch.pop(_RETAIN_KEYS)
    if not isinstance(retained, list) or not all(isinstance(name, str) for name in retained):
        raise BadRequest("invalid patch format of retainKeys")
    allowed = set(retained)
    if any(value is not None and name not in allowed and not _is_directive(name) for name, value in patch.items()):
        raise BadRequest("invalid patch format of retainKeys")
    for name in [n for n in original if n not in allowed]:
        del original[name]


def _delete_from_list(original: dict[str, Json], name: str, values: Json) -> None:
    if not isinstance(values, list):
        raise BadRequest("invalid patch format of primitive list")
    current = original.get(name)
    if isinstance(current, list):
        unwanted = {_scalar(value) for value in values}
        original[name] = [value for value in current if _scalar(value) not in unwanted]


def _scalar(value: Json) -> Hashable:
    """A list element as a dictionary key; 1, 1.0 and true stay apart as JSON has them."""
    if isinstance(value, (dict, list)):
        raise BadRequest("list element types are not identical, or lists of lists are used, which are not supported")
    return (isinstance(value, bool), value)


def _identity(key: str) -> Callable[[Json], Hashable]:
    """How elements of a list are told apart: by themselves, or by their merge key."""
    if not key:
        return _scalar

    def by_key(item: Json) -> Hashable:
        if not isinstance(item, dict):
            raise BadRequest(f"expected a map with the merge key {key}, but received something else")
        if key not in item:
            raise BadRequest(f"map: {_names(item)} does not contain declared merge key: {key}")
        return _scalar(item[key])

    return by_key


def _names(item: dict[str, Json]) -> str:
    """The fields of a map, for an error: never their values, which may be secret."""
    return "map[" + " ".join(sorted(item)[:20]) + "]"


def _check_same_kind(*lists: Sequence[Json]) -> bool:
    """Whether the elements are maps. Raises if they are mixed, or lists."""
    kinds = {isinstance(item, dict) for values in lists for item in values}
    if any(isinstance(item, list) for values in lists for item in values):
        raise BadRequest("lists of lists are not supported")
    if len(kinds) > 1:
        raise BadRequest("list element types are not identical")
    return kinds == {True}


def _merge_list(original: list[Json], patch: list[Json], strategy: _Strategy) -> list[Json]:
    """Merge two lists of a field with strategy ``merge``; the order is that of the patch, then of the original."""
    maps = _check_same_kind(original, patch)
    if maps and not strategy.key:
        raise BadRequest("cannot merge lists without merge key")
    identity = _identity(strategy.key if maps else "")
    if not maps:
        merged = list({_scalar(value): value for value in [*original, *patch]}.values())
        return _in_order(merged, patch, original, identity)
    live, ordinary = _special_elements(original, patch, strategy.key, identity)
    return _in_order(_merge_items(list(live), ordinary, strategy, identity), ordinary, live, identity)


def _special_elements(
    original: list[Json], patch: list[Json], key: str, identity: Callable[[Json], Hashable]
) -> tuple[list[Json], list[Json]]:
    """Carry out the elements that are directives. Returns what is left of both lists."""
    ordinary: list[Json] = []
    unwanted: set[Hashable] = set()
    replace = False
    for item in patch:
        directive = item.get(_DIRECTIVE)
        if directive is None:
            ordinary.append(item)
        elif directive == "delete":
            unwanted.add(identity(item))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise BadRequest("merging lists cannot yet be specified in the patch")
        else:
            raise BadRequest(f"unknown patch type: {directive} in map: {_names(item)}")
    if replace:
        return [_without_directives(item) for item in ordinary], []
    if unwanted:
        original = [item for item in original if key not in item or identity(item) not in unwanted]
    return original, ordinary


def _merge_items(live: list[Json], patch: list[Json], strategy: _Strategy, identity: Callable[[Json], Hashable]) -> list[Json]:
    places: dict[Hashable, int] = {}
    for index, item in enumerate(live):
        if strategy.key in item:
            places.setdefault(identity(item), index)
    for item in patch:
        place = places.get(identity(item))
        if place is not None:
            live[place] = _merge_map(live[place], item, strategy.schema)
        else:
            places[identity(item)] = len(live)
            live.append(_without_directives(item))
    return live


def _in_order(
    merged: list[Json], patch_order: Iterable[Json], live_order: Iterable[Json], identity: Callable[[Json], Hashable]
) -> list[Json]:
    """Sort: what the patch names, in its order; the rest goes before the first of these that it preceded in the live list."""
    patch_place = _places(patch_order, identity)
    live_place = _places(live_order, identity)
    named = [item for item in merged if identity(item) in patch_place]
    others = [item for item in merged if identity(item) not in patch_place]
    named.sort(key=lambda item: patch_place[identity(item)])
    others.sort(key=lambda item: live_place.get(identity(item), len(live_place)))
    result: list[Json] = []
    position = 0
    for item in named:
        place = live_place.get(identity(item))
        while position < len(others) and place is not None and live_place.get(identity(others[position]), place) < place:
            result.append(others[position])
            position += 1
        result.append(item)
    return [*result, *others[position:]]


def _places(items: Iterable[Json], identity: Callable[[Json], Hashable]) -> dict[Hashable, int]:
    places: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        places.setdefault(identity(item), index)
    return places


def _merge_ordered(original: dict[str, Json], patch: dict[str, Json], directive: str, schema: Schema | None) -> None:
    """Merge the list that a ``$setElementOrder`` is about, together with its patch, and put it in that order."""
    order = patch.pop(directive)
    name = directive.removeprefix(_ELEMENT_ORDER)
    changes = patch.get(name)
    current = original.get(name)
    if not isinstance(order, list) or not isinstance(changes, (list, type(None))) or not isinstance(current, (list, type(None))):
        raise BadRequest("invalid patch format of setElementOrder list")
    strategy = _Strategy(schema, name, of_list=True)
    identity = _identity(strategy.key)
    _check_order(changes or [], order, strategy, identity)
    if current is None and changes is None:
        return
    patch.pop(name, None)
    if changes is None:
        merged = list(current or [])
    elif current is None:
        merged = _without_directives(changes)
    else:
        merged = _merge_list(current, changes, strategy) if strategy.kind == "merge" else changes
    original[name] = _in_order(merged, order, current or [], identity)


def _check_order(changes: list[Json], order: list[Json], strategy: _Strategy, identity: Callable[[Json], Hashable]) -> None:
    """The elements of the patch must be in the order list, in the same relative order."""
    if not changes or not order:
        return
    wanted = [identity(item) for item in changes if not (isinstance(item, dict) and _DIRECTIVE in item)]
    remaining = iter(identity(item) for item in order)
    if not all(value in remaining for value in wanted):
        raise BadRequest(f"The order in patch list doesn't match {_ELEMENT_ORDER.rstrip('/')} list of {strategy.key or 'values'}")
