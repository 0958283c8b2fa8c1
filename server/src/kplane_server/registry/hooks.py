# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of webhooks, as the verbs and admission expect them of whoever makes them (``admission.webhook_client``)."""

from __future__ import annotations

from typing import Protocol

from kplane_server.model.errors import Json


class HookFailure(Exception):
    """A webhook could not be called, or did not answer as one. The text is for clients: it tells nothing of the server's network."""


class HookCaller(Protocol):
    """Calls the webhooks of one control plane."""

    async def call(self, client_config: Json, review: Json, timeout: float) -> Json:
        """Post ``review`` to where ``client_config`` says, and return the JSON object that is answered. Raises HookFailure."""
        ...


class NoHooks:
    """A control plane that calls nobody."""

    async def call(self, client_config: Json, review: Json, timeout: float) -> Json:
        raise HookFailure("this server calls no webhooks")
