# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plug-ins may ask of the control plane that they judge for, beside its objects: its resources, and who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kplane_server.model.identity import UserInfo
from kplane_server.registry.table import ResourceTable
from kplane_server.schema.cel.authorizer import Question, Verdict


@dataclass(frozen=True, slots=True)
class Surroundings:
    """resources: the rows of the control plane. authorize: whether one of its users may do something."""

    resources: Callable[[], ResourceTable]
    authorize: Callable[[UserInfo, Question], Verdict]


def parse_api_version(text: str) -> tuple[str, str]:
    """Group and version of an apiVersion."""
    group, _, version = text.rpartition("/")
    return group, version


def kind_text(api_version: str, kind: str) -> str:
    """A kind as error texts show it."""
    return f"{api_version}, Kind={kind}"
