# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm charts of a VCP: what is declared, what was recorded of it, and what has to be done; pure but for the files of a chart.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Chart = t.Dict[str, t.Any]

DEFAULT_NAMESPACE: t.Final = "default"
_MAX_CHART_BYTES = 64 * 1024 * 1024
_MAX_CHART_FILES = 10_000


class Record(t.NamedTuple):
    """What is kept with a VCP: what identifies the charts that it has, and the releases that were made of such."""

    fingerprint: str = ""
    releases: tuple[str, ...] = ()

    def text(self) -> str | None:
        """As an annotation; nothing if there is nothing to keep."""
        if not self.fingerprint and not self.releases:
            return None
        return json.dumps({"hash": self.fingerprint, "releases": sorted(self.releases)}, separators=(",", ":"))


def read(annotation: str) -> Record:
    """The record in an annotation; what somebody else wrote there counts as none."""
    try:
        fields = json.loads(annotation or "{}")
        return Record(str(fields.get("hash") or ""), tuple(str(entry) for entry in fields.get("releases") or ()))
    except (ValueError, AttributeError, TypeError):
        return Record()


class Plan(t.NamedTuple):
    """What has to be done, and the records to keep before and after it."""

    install: bool
    uninstall: tuple[str, ...]
    during: Record
    after: Record

    @property
    def nothing(self) -> bool:
        """Whether everything is as it was declared."""
        return not self.install and not self.uninstall


def release(chart: Chart) -> str:
    """The namespace and the name of the release of a chart."""
    return f"{chart.get('release_namespace') or DEFAULT_NAMESPACE}/{chart['name']}"


def plan(charts: t.Sequence[Chart], base: str, record: Record, prune: bool, again: bool) -> Plan:
    """Compare the declaration with the record. A release that is not declared any more stays in the record until it is pruned."""
    names = [release(chart) for chart in charts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KplaneError(f"charts names the release {twice[0]} twice")
    wanted = fingerprint(charts, base) if charts else ""
    present = {release(chart) for chart in charts if chart.get("release_state") not in ("absent", "uninstalled")}
    left = tuple(sorted(set(record.releases) - set(names)))
    kept = present | (set() if prune else set(left))
    return Plan(
        record.fingerprint != wanted or (again and bool(charts)),
        left if prune else (),
        # Named before they are made, so that a run that is interrupted leaves no release that nobody knows.
        Record("", tuple(sorted({*record.releases, *present}))),
        Record(wanted, tuple(sorted(kept))),
    )


def local(reference: str, base: str) -> str:
    """The path of a chart that lies here, or an empty string; a relative path starts at ``base``."""
    path = os.path.join(base, os.path.expanduser(reference))
    return path if reference and os.path.exists(path) else ""


def fingerprint(charts: t.Sequence[Chart], base: str) -> str:
    """What identifies charts: what was said of them, and the content of those that lie here."""
    digest = hashlib.sha256(json.dumps(charts, sort_keys=True, separators=(",", ":"), default=str).encode())
    for chart in charts:
        path = local(str(chart.get("chart_ref") or ""), base)
        if path:
            for name in _files(path):
                digest.update(os.path.relpath(name, path).encode() + b"\0")
                with open(name, "rb") as handle:
                    digest.update(hashlib.sha256(handle.read()).digest())
    return "sha256:" + digest.hexdigest()


def _files(path: str) -> list[str]:
    """The files of a chart, in a fixed order; too many or too large ones are refused."""
    found = [path] if os.path.isfile(path) else []
    size = 0
    for folder, _folders, names in os.walk(path):
        found += [os.path.join(folder, name) for name in names]
        if len(found) > _MAX_CHART_FILES:
            raise KplaneError(f"The chart {path} has more than {_MAX_CHART_FILES} files", path=path)
    for name in found:
        size += os.path.getsize(name)
    if size > _MAX_CHART_BYTES:
        raise KplaneError(f"The chart {path} is larger than {_MAX_CHART_BYTES} bytes", path=path)
    return sorted(found)
