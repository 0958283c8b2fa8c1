# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What admission may ask of a control plane, made of its rooms, and the plug-ins that ask."""

from __future__ import annotations

from kplane_server.access.attributes import Attributes, for_path
from kplane_server.admission.certificates import CertificateAdmission
from kplane_server.admission.plugin import Plugin
from kplane_server.admission.policies.mutating import MutatingPolicies
from kplane_server.admission.policies.plugin import ValidatingPolicies
from kplane_server.admission.policies.reading import ParameterReaders
from kplane_server.admission.surroundings import Surroundings
from kplane_server.model.errors import ApiError
from kplane_server.model.identity import UserInfo
from kplane_server.schema.cel.authorizer import Question, Verdict
from kplane_server.vcp.controlplane import ControlPlane


def surroundings(control_plane: ControlPlane) -> Surroundings:
    """The surroundings of the plug-ins of a control plane. Nothing is looked at before a plug-in asks."""

    def authorize(user: UserInfo, question: Question) -> Verdict:
        verb, group, resource, subresource, namespace, name, path = question
        asked = for_path(verb, path) if path else Attributes(verb, group, "*", resource, subresource, namespace, name)
        try:
            decision = control_plane.authorizer.authorize(user, asked)
        except ApiError as error:
            return Verdict(False, "", error.message)
        return Verdict(decision.allowed, decision.reason)

    return Surroundings(lambda: control_plane.api.resources, authorize)


def asking_plugins(control_plane: ControlPlane) -> list[Plugin]:
    """The plug-ins that need more than the write itself, in their order."""
    around = surroundings(control_plane)
    mutating = MutatingPolicies(lambda: control_plane.api.registry, around)
    return [CertificateAdmission(around), ParameterReaders(around), mutating, ValidatingPolicies(around)]
