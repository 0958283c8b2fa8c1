# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said of kind, k3d and kubectl on this host: which one is used, its version, and what an installation would meet.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import cli, drivers, receipts

_PROBE_TIMEOUT = 30.0
#: kubectl belongs to no driver; this is the oldest one that is tested.
_KUBECTL_MINIMUM: t.Final = (1, 31, 0)
_KUBECTL_VERSION: t.Final = ("version", "--client")
_SHA256_LENGTH = 64
_HEX: t.Final = frozenset("0123456789abcdef")


class Program(t.NamedTuple):
    """One program, and what it says of itself."""

    path: str = ""
    version: str = ""
    recent: bool = False
    problem: str = ""


class Pin(t.NamedTuple):
    """The release of a tool that is wanted, and the checksum of its file for this host (empty if none is known)."""

    version: str
    checksum: str


def needs(tool: str) -> tuple[cli.Version, tuple[str, ...]]:
    """The oldest version of ``tool`` that will do, and the arguments that make it say its version."""
    for load in drivers.CONTAINER_DRIVERS.values():
        driver = load()
        if driver.program_name == tool:
            return driver.minimum, (driver.version_command,)
    return _KUBECTL_MINIMUM, _KUBECTL_VERSION


@functools.lru_cache(maxsize=len(receipts.NAMES) * 3)
def probe(tool: str, path: str) -> Program:
    """What the program at ``path`` says of itself."""
    minimum, arguments = needs(tool)
    least = ".".join(map(str, minimum))
    if not receipts.runnable(path):
        return Program(path, problem=f"{path} is not an executable file")
    try:
        printed = cli.Program(tool, "", path).run(*arguments, timeout=_PROBE_TIMEOUT).stdout
    except ProviderError as exc:
        return Program(path, problem=f"{path} is no {tool} that runs here: {exc.message}")
    version = receipts.version_text(printed)
    # A build from source says its major version alone, or nothing; it counts as the newest.
    number = t.cast("cli.Version", tuple(map(int, version.split(".")))) if version else cli.version_number(printed)
    if number is None:
        return Program(path, problem=f"{path} prints no version: {printed[:200]!r}")
    problem = "" if number >= minimum else f"{path} is version {version}; {least} or later is needed"
    return Program(path, version, number >= minimum, problem)


def find(tool: str) -> Program:
    """The program that would be used; one without a path if there is none."""
    path = receipts.find(tool)
    return probe(tool, path) if path else Program(problem="not on PATH")


def read_pins(given: t.Mapping[str, t.Any] | None) -> dict[str, Pin]:
    """The option ``tools``: releases by tool."""
    found = {}
    for tool, entry in (given or {}).items():
        where = f"tools.{tool}"
        if tool not in receipts.NAMES:
            raise KplaneError(f"{where}: there is no such tool; known are {', '.join(receipts.NAMES)}")
        if not isinstance(entry, dict):
            raise KplaneError(f"{where} has to be a mapping with version and checksums")
        version, checksums = str(entry.get("version") or ""), entry.get("checksums") or {}
        if receipts.version_text(version) != version or not version:
            raise KplaneError(f"{where}.version is {version!r}; it has to be three numbers, for example '1.34.1'")
        if not isinstance(checksums, dict):
            raise KplaneError(f"{where}.checksums has to be a mapping from platforms, for example linux-amd64, to SHA-256 checksums")
        for platform, checksum in checksums.items():
            if len(str(checksum)) != _SHA256_LENGTH or not _HEX.issuperset(str(checksum)):
                raise KplaneError(f"{where}.checksums.{platform} is {checksum!r}; it has to be a SHA-256 checksum, 64 hexadecimal digits")
        found[tool] = Pin(version, str(checksums.get(receipts.platform()) or ""))
    return found


def look(tool: str, pin: Pin | None, directory: str | None, given: str | None) -> dict[str, t.Any]:
    """All about one tool; ``given`` is a program of the user's own, ``directory`` where a pinned one belongs."""
    left = receipts.receipt(tool)
    program = probe(tool, _io.expand(given)) if given else find(tool)
    result = {
        "path": program.path,
        "version": program.version,
        "minimum": ".".join(map(str, needs(tool)[0])),
        "recent_enough": program.recent,
        "problem": program.problem,
        "pinned_version": pin.version if pin else "",
        "checksum": pin.checksum if pin else "",
        "receipt": {
            "path": receipts.receipt_path(tool),
            "executable": left.executable,
            "installed": [one._asdict() for one in left.installed],
        },
    }
    digest = receipts.sha256(program.path) if program.path and not os.path.isdir(program.path) else ""
    result["pinned"] = bool(pin and pin.checksum) and digest == (pin.checksum if pin else "")
    result["installed_by_role"] = left.made(program.path, digest)
    target = os.path.join(_io.expand(directory or receipts.DEFAULT_DIRECTORY), tool)
    on_path = os.path.dirname(target) in os.environ.get("PATH", "").split(os.pathsep)
    about = _target(tool, target, pin, left)
    result["noted"] = left.executable == (program.path if given else target)
    result["obstacle"] = program.problem if given else _obstacle(tool, target, about, pin)
    return {**result, "owned": _owned(left), "target": {"path": target, "on_path": on_path, **about}}


def _obstacle(tool: str, path: str, target: t.Mapping[str, str], pin: Pin | None) -> str:
    """What keeps the role from installing the pinned release, or an empty string."""
    if pin is None:
        return ""
    if not pin.checksum:
        return (
            f"No checksum of {tool} {pin.version} for {receipts.platform()} is known, so it is not downloaded. Declare it "
            f"(kplane_prerequisites_releases.{tool}), or bring the program (kplane_prerequisites_executables.{tool})."
        )
    if target["state"] == "foreign":
        return (
            f"{path} is there (version {target['version'] or 'unknown'}), is not {tool} {pin.version} and was not put there by the role "
            "prerequisites, so it is left alone. Remove it, set kplane_prerequisites_directory to another directory, or use it as it is "
            f"(kplane_prerequisites_executables.{tool}: {path})."
        )
    return ""


def _owned(left: receipts.Receipt) -> list[str]:
    """The files that the role put somewhere and that are still what it put there."""
    paths = sorted({entry.path for entry in left.installed})
    return [path for path in paths if os.path.isfile(path) and left.made(path, receipts.sha256(path))]


def _target(tool: str, path: str, pin: Pin | None, left: receipts.Receipt) -> dict[str, str]:
    """What is where the pinned tool belongs, and whose it is."""
    if not os.path.lexists(path):
        return {"state": "absent", "version": ""}
    if not os.path.isfile(path):
        return {"state": "foreign", "version": ""}
    digest = receipts.sha256(path)
    version = probe(tool, path).version
    if pin and digest == pin.checksum:
        # A file that lost its mode, as a copy can, is put right like one of another version.
        return {"state": "pinned" if receipts.runnable(path) else "ours", "version": version}
    return {"state": "ours" if left.made(path, digest) else "foreign", "version": version}


def line(tool: str, about: t.Mapping[str, t.Any]) -> str:
    """One tool, for people."""
    pinned = f"the role kplane.core.prerequisites installs {about['pinned_version']}" if about["pinned_version"] else ""
    if not about["path"]:
        return f"{tool}: {about['problem']}{'; ' + pinned if pinned else ''}"
    words = [str(about["path"]), f"version {about['version'] or 'unknown'}"]
    words.append("the pinned release" if about["pinned"] else f"not the pinned release ({about['pinned_version'] or 'none'})")
    words.append("installed by the role prerequisites" if about["installed_by_role"] else "not installed by the role prerequisites")
    return f"{tool}: {', '.join(words)}{'; ' + about['problem'] if about['problem'] else ''}"
