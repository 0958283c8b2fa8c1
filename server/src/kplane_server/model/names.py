# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: the character rules of Kubernetes object names and of virtual control planes (VCPs).

Source: RFC 1123, and https://kubernetes.io/docs/concepts/overview/working-with-objects/names/.
"""

from __future__ import annotations

import re
from typing import Final

#: The name of the root control plane, which is the management plane's own API.
ROOT: Final = "root"

#: VCP names that would be ambiguous in a URL or alias the root control plane.
RESERVED_VCP_NAMES: Final = frozenset({ROOT, "clusters"})

LABEL_MAX_LENGTH: Final = 63
SUBDOMAIN_MAX_LENGTH: Final = 253

VCP_NAME_RULE: Final = "must be a DNS-1123 label: at most 63 lower case letters, digits and '-', with a letter or digit at both ends"

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def is_dns_label(value: str) -> bool:
    """Whether ``value`` is a DNS-1123 label: lower-case alphanumerics and ``-``, at most 63 characters."""
    return len(value) <= LABEL_MAX_LENGTH and _LABEL.fullmatch(value) is not None


def is_dns_subdomain(value: str) -> bool:
    """Whether ``value`` is a DNS-1123 subdomain: labels joined by dots, at most 253 characters."""
    return len(value) <= SUBDOMAIN_MAX_LENGTH and _SUBDOMAIN.fullmatch(value) is not None


def is_vcp_name(value: str) -> bool:
    """Whether ``value`` may name a new virtual control plane: a DNS-1123 label that is not reserved."""
    return value not in RESERVED_VCP_NAMES and is_dns_label(value)
