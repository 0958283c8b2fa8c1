# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may approve and sign requests for certificates: those who hold the verb on the signer, and nobody for system:masters.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificateapproval
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.surroundings import Surroundings
from kplane_server.model.errors import Json
from kplane_server.model.identity import MASTERS
from kplane_server.model.keys import ResourceId
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.schema.cel.authorizer import Question

REQUESTS: Final = ResourceId("certificatesigningrequests.certificates.k8s.io")
CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client"


class CertificateAdmission(Plugin):
    """CertificateApproval, CertificateSigning and CertificateSubjectRestriction in one."""

    name = "CertificateApproval"

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def concerns(self, attributes: Attributes) -> bool:
        return attributes.info.storage_id == REQUESTS and attributes.operation in (Operation.CREATE, Operation.UPDATE)

    def validate(self, attributes: Attributes) -> None:
        if attributes.operation is Operation.CREATE:
            if not attributes.subresource:
                _check_subject(attributes)
        elif attributes.subresource == "approval":
            self._check_signer(attributes, "approve")
        elif attributes.subresource == "status" and _signs(attributes.object, attributes.old):
            self._check_signer(attributes, "sign")

    def _check_signer(self, attributes: Attributes, verb: str) -> None:
        """The verb on the signer itself, or on all of its domain."""
        assert attributes.old is not None  # an update has one
        signer = (attributes.old.get("spec") or {}).get("signerName") or ""
        domain = signer.partition("/")[0]
        for name in (signer, f"{domain}/*"):
            question = Question(verb, "certificates.k8s.io", "signers", name=name)
            if self._surroundings.authorize(attributes.user, question).allowed:
                return
        raise forbidden(attributes, f'user not permitted to {verb} requests with signerName "{signer}"')


def _signs(new: Json, old: Json) -> bool:
    """Whether a status gets a certificate, or a condition that says there will be none."""
    after, before = (new or {}).get("status") or {}, (old or {}).get("status") or {}
    failed = [[c for c in status.get("conditions") or () if c.get("type") == "Failed"] for status in (after, before)]
    return after.get("certificate") != before.get("certificate") or len(failed[0]) > len(failed[1])


def _check_subject(attributes: Attributes) -> None:
    """A client certificate never makes somebody a member of system:masters."""
    spec = (attributes.object or {}).get("spec") or {}
    if spec.get("signerName") != CLIENT_SIGNER:
        return
    try:
        request = x509.load_pem_x509_csr(b64decode(spec.get("request") or ""))
    except (ValueError, binascii.Error) as error:
        raise forbidden(attributes, f"failed to parse CSR: {error}") from error
    groups = [attribute.value for attribute in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if MASTERS in groups:
        raise forbidden(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
