# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first round of mutators leaves for the second: who was asked, and who is asked again because something changed behind it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from kplane_server.model.errors import Json


@dataclass(slots=True)
class Rounds:
    """invoked: those that want to be asked again. again: those that will be. output: the document as the first round left it."""

    invoked: set[Hashable] = field(default_factory=set)
    again: set[Hashable] = field(default_factory=set)
    output: Json | None = None

    def call_again(self) -> None:
        """Those that were asked and want to be asked again when something changes behind them."""
        self.again |= self.invoked
        self.invoked.clear()
