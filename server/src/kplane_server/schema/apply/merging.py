# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging a configuration into a live document: nothing is removed, the configuration wins, associative lists keep their order."""

from __future__ import annotations

from typing import Any

from kplane_server.model.errors import Json
from kplane_server.schema.apply.atoms import Atom, TypedError


def merge(live: Json, config: Json, atom: Atom) -> Json:
    """``live`` with ``config`` merged into it. The result may share parts with both."""
    if isinstance(config, dict) and atom.is_map and not atom.atomic_map:
        return _merge_maps(live, config, atom) if isinstance(live, dict) and live else config
    if isinstance(config, list) and atom.is_list and not atom.atomic_list:
        return _merge_lists(live, config, atom) if isinstance(live, list) and live else config
    if config is None and _keeps_below_null(live, atom):
        return live
    return config


def _keeps_below_null(live: Json, atom: Atom) -> bool:
    """A null for a granular struct or list says nothing about what is in it."""
    if isinstance(live, dict):
        return bool(live) and atom.is_map and not atom.atomic_map
    return isinstance(live, list) and bool(live) and atom.is_list and not atom.is_map and not atom.atomic_list


def _merge_maps(live: dict[str, Json], config: dict[str, Json], atom: Atom) -> dict[str, Json]:
    out = dict(live)
    for name, value in config.items():
        if name in out:
            child = atom.field(name)
            if child is None:
                raise TypedError(f".{name}: field not declared in schema")
            out[name] = merge(out[name], value, child)
        else:
            out[name] = value
    return out


def _merge_lists(live: list[Json], config: list[Json], atom: Atom) -> list[Json]:
    """The order is that of the live list while both agree, else that of the configuration; other live items keep their places."""
    element = atom.list_element
    assert element is not None  # every list atom has one
    live_keys = [atom.item_key(item) for item in live]
    config_keys = [atom.item_key(item) for item in config]
    live_items: dict[str, Any] = {}
    for key, item in zip(live_keys, live, strict=True):
        live_items[key] = None if key in live_items else item  # a duplicate is not merged with
    config_items = dict(zip(config_keys, config, strict=True))
    shared = iter([key for key in config_keys if key in live_items])
    next_shared = next(shared, None)
    merged: set[str] = set()
    out: list[Json] = []

    def take(key: str) -> None:
        nonlocal next_shared
        merged.add(key)
        was = live_items.get(key)
        out.append(merge(was, config_items[key], element) if was is not None else config_items[key])
        if next_shared == key:
            next_shared = next(shared, None)

    left, right = 0, 0
    while left < len(live_keys) or right < len(config_keys):
        if left < len(live_keys):
            key = live_keys[left]
            if right < len(config_keys):
                if key == config_keys[right]:
                    take(key)
                    left, right = left + 1, right + 1
                    continue
                if key in config_items and next_shared is not None and next_shared != key:
                    left += 1  # shared, but its turn comes later, in the order of the configuration
                    continue
            if key not in config_items:
                out.append(live[left])
                left += 1
                continue
            if key in merged:
                left += 1
        if right < len(config_keys):
            take(config_keys[right])
            right += 1
    return out
