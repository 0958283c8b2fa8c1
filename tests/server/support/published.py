# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published software that the client tests run: built, or taken out of its package, once; at pinned versions; from registries only.

``python -m support.published`` prepares all of it before the tests start, so that no test waits for a compiler.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
PROGRAMS: Final = ROOT / ".cache" / "bin"
COLLECTIONS: Final = ROOT / ".cache" / "clients"

#: A registry or a compiler that hangs ends in an error.
PATIENCE_SECONDS: Final = 1_500

#: Go modules that carry the definitions of custom resources that people use, and where in the module they are.
DEFINITIONS: Final = {
    "sigs.k8s.io/gateway-api@v1.4.0": "config/crd/standard/*.yaml",
    "github.com/cert-manager/cert-manager@v1.19.1": "deploy/crds/*.yaml",
    "sigs.k8s.io/cluster-api@v1.11.3": "config/crd/bases/*.yaml",
    "github.com/crossplane/crossplane/v2@v2.1.1": "cluster/crds/*.yaml",
}

#: The PyPI package that carries the collection ``kubernetes.core``, and only it is taken out: the package holds a hundred others.
ANSIBLE_PACKAGE: Final = "ansible==12.3.0"
COLLECTION: Final = "ansible_collections/kubernetes/core/"


class GoProgram(NamedTuple):
    """A Go module of ours that makes a program of published modules."""

    folder: Path
    command: tuple[str, ...] = ("build",)
    #: What is built: the module itself, or a program of a module that it requires.
    package: str = "."


def _kubectl(name: str) -> GoProgram:
    """The published kubectl, which says its version as the released programs do (they get it from the linker, too)."""
    folder = ROOT / "tests" / "tools" / name
    found = re.search(r"k8s\.io/kubectl v0\.(\d+)\.(\d+)", (folder / "go.mod").read_text())
    assert found is not None, f"{folder}/go.mod names no k8s.io/kubectl"
    minor, patch = found.groups()
    said = {"gitVersion": f"v1.{minor}.{patch}", "gitMajor": "1", "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items())
    return GoProgram(folder, ("build", f"-ldflags={flags}"))


def _helm() -> GoProgram:
    """The published helm, which says its version as the released program does."""
    folder = ROOT / "tests" / "tools" / "helm"
    found = re.search(r"helm\.sh/helm/v3 (v3\.\d+\.\d+)", (folder / "go.mod").read_text())
    assert found is not None, f"{folder}/go.mod names no helm.sh/helm/v3"
    flags = f"-ldflags=-X helm.sh/helm/v3/internal/version.version={found.group(1)}"
    return GoProgram(folder, ("build", flags), "helm.sh/helm/v3/cmd/helm")


GO_PROGRAMS: Final = {
    "helm": _helm(),
    "kubectl-1.31": _kubectl("kubectl-1.31"),
    "kubectl-1.37": _kubectl("kubectl-1.37"),
    "clients.test": GoProgram(ROOT / "tests" / "clients" / "go", ("test", "-c")),
}


def program(name: str) -> Path | None:
    """The program, built now if it is not there or older than its sources; None on a machine without Go."""
    made, source = PROGRAMS / name, GO_PROGRAMS[name]
    go = shutil.which("go")
    if go is None:
        return None
    with _alone(PROGRAMS / f".{name}.lock"):
        newest = max(path.stat().st_mtime for path in source.folder.iterdir())
        if not made.exists() or made.stat().st_mtime < newest:
            subprocess.run([go, *source.command, "-o", str(made), source.package], cwd=source.folder, check=True, timeout=PATIENCE_SECONDS)
            os.utime(made)
    return made


def definitions(module: str) -> list[Path] | None:
    """The files with the definitions of a module, fetched now if they are not there; None on a machine without Go."""
    go = shutil.which("go")
    if go is None:
        return None
    with _alone(PROGRAMS / ".modules.lock"), tempfile.TemporaryDirectory() as elsewhere:
        fetch = [go, "mod", "download", "-json", module]
        done = subprocess.run(fetch, cwd=elsewhere, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return sorted(Path(json.loads(done.stdout)["Dir"]).glob(DEFINITIONS[module]))


def collections() -> Path:
    """A collections path with ``kubernetes.core`` in it."""
    target = COLLECTIONS / ANSIBLE_PACKAGE.replace("==", "-")
    with _alone(COLLECTIONS / ".lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=COLLECTIONS) as scratch:
                _take_out(Path(scratch))
                (Path(scratch) / "collections").rename(target)
    return target


def _take_out(scratch: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(scratch)]
    subprocess.run([*download, ANSIBLE_PACKAGE], check=True, timeout=PATIENCE_SECONDS)
    (package,) = scratch.glob("*.whl")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(scratch / "collections", [name for name in archive.namelist() if name.startswith(COLLECTION)])


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time: the workers of a test session share what is prepared here."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main() -> None:
    for name in GO_PROGRAMS:
        begun = time.monotonic()
        if program(name) is None:
            print(f"NO GO: {name} is not built, and the tests that need it are skipped", file=sys.stderr)
        else:
            print(f"{name}: {time.monotonic() - begun:.0f} s")
    for module in DEFINITIONS:
        if definitions(module) is not None:
            print(f"{module}: fetched")
    if shutil.which("npm") is None:
        print("NO NODE: @kubernetes/client-node is not run", file=sys.stderr)
    begun = time.monotonic()
    collections()
    print(f"kubernetes.core: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
