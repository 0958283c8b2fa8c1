# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which providers there are, and which one is meant.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers.drivers import EMBEDDED, K3S, KIND, PROVIDERS

AUTO: t.Final = "auto"
#: Other spellings.
ALIASES: t.Final = {"k3d": K3S}
#: What an option ``provider`` accepts.
CHOICES: t.Final = (AUTO, *PROVIDERS, *ALIASES)
#: The order of ``auto``, with the program that has to be there besides a Docker daemon.
_AUTO_ORDER: t.Final = ((KIND, "kind"), (K3S, "k3d"))


class Choice(t.NamedTuple):
    """A provider and the reason for it."""

    provider: str
    reason: str


def require_provider(provider: str, origin: str) -> str:
    """The canonical name of ``provider``; ``origin`` says who asked for it."""
    name = ALIASES.get(provider, provider)
    if name in PROVIDERS:
        return name
    supported = ", ".join(sorted(PROVIDERS))
    raise ProviderError(f"There is no provider {provider!r} ({origin}). Supported: {supported}.")


def choose(asked: str, configured: str, config_path: str) -> Choice:
    """The provider to use: the one asked for; with ``auto`` the configured one, then what the host has."""
    if asked != AUTO:
        return Choice(require_provider(asked, "asked for"), "it was asked for")
    if configured and configured != AUTO:
        return Choice(require_provider(configured, f"named by {config_path}"), f"{config_path} names it")
    # Only where nothing else decides: looking at the host costs more than the rest of this.
    from ansible_collections.kplane.core.plugins.module_utils._providers.requirements import container_provider_ready

    skipped = []
    for provider, program in _AUTO_ORDER:
        if container_provider_ready(program):
            return Choice(provider, f"{program} is installed and a Docker daemon answers")
        skipped.append(f"for {provider}, {program} is not installed or no Docker daemon answers")
    return Choice(EMBEDDED, f"no provider is configured, and {'; '.join(skipped)}")
