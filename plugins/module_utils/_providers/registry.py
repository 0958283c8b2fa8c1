# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which providers there are, which of them this release can drive, and which one is meant.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Driver
from ansible_collections.kplane.core.plugins.module_utils._providers.embedded import EmbeddedDriver
from ansible_collections.kplane.core.plugins.module_utils._providers.k3s import K3sDriver
from ansible_collections.kplane.core.plugins.module_utils._providers.kind import KindDriver
from ansible_collections.kplane.core.plugins.module_utils._providers.kubeconfig import KubeconfigDriver
from ansible_collections.kplane.core.plugins.module_utils._providers.requirements import container_provider_ready

AUTO: t.Final = "auto"
#: Other spellings.
ALIASES: t.Final = {"k3d": "k3s"}
#: Every provider of the contract.
PROVIDERS: t.Final = ("embedded", "kind", "k3s", "kubeconfig")
#: What an option ``provider`` accepts.
CHOICES: t.Final = (AUTO, *PROVIDERS, *ALIASES)
#: The drivers of this release.
DRIVERS: t.Final[dict[str, type[Driver]]] = {
    driver.provider: driver for driver in (EmbeddedDriver, KindDriver, K3sDriver, KubeconfigDriver)
}
#: The order of ``auto``, with the program that has to be there besides a Docker daemon.
_AUTO_ORDER: t.Final = (("kind", "kind"), ("k3s", "k3d"))


class Choice(t.NamedTuple):
    """A provider and the reason for it."""

    provider: str
    reason: str


def require_driver(provider: str, origin: str) -> str:
    """The canonical name of ``provider`` if this release can drive it; ``origin`` says who asked for it."""
    name = ALIASES.get(provider, provider)
    if name in DRIVERS:
        return name
    supported = ", ".join(sorted(DRIVERS))
    raise ProviderError(f"There is no provider {provider!r} ({origin}). Supported: {supported}.")


def choose(asked: str, configured: str, config_path: str) -> Choice:
    """The provider to use: the one asked for; with ``auto`` the configured one, then what the host has."""
    if asked != AUTO:
        return Choice(require_driver(asked, "asked for"), "it was asked for")
    if configured and configured != AUTO:
        return Choice(require_driver(configured, f"named by {config_path}"), f"{config_path} names it")
    skipped = []
    for provider, program in _AUTO_ORDER:
        if container_provider_ready(program):
            return Choice(provider, f"{program} is on PATH and a Docker daemon answers")
        skipped.append(f"for {provider}, {program} is not on PATH or no Docker daemon answers")
    return Choice(EmbeddedDriver.provider, f"no provider is configured, and {'; '.join(skipped)}")
