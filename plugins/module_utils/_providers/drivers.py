# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers of this release, each imported when it is wanted: a task needs one, and the stack's costs more than all else it imports.

PRIVATE to the collection: it may change in any release.
"""

# Ansible packs the files that import statements name, so the statements have to be there, also inside functions.

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.kplane.core.plugins.module_utils._providers.containers import ContainerDriver
    from ansible_collections.kplane.core.plugins.module_utils._providers.embedded import EmbeddedDriver
    from ansible_collections.kplane.core.plugins.module_utils._providers.kubeconfig import KubeconfigDriver

EMBEDDED: t.Final = "embedded"
KIND: t.Final = "kind"
K3S: t.Final = "k3s"
KUBECONFIG: t.Final = "kubeconfig"
#: Every provider of the contract.
PROVIDERS: t.Final = (EMBEDDED, KIND, K3S, KUBECONFIG)


def embedded() -> type[EmbeddedDriver]:
    """The driver of ``embedded``."""
    from ansible_collections.kplane.core.plugins.module_utils._providers.embedded import EmbeddedDriver

    return EmbeddedDriver


def kind() -> type[ContainerDriver]:
    """The driver of ``kind``."""
    from ansible_collections.kplane.core.plugins.module_utils._providers.kind import KindDriver

    return KindDriver


def k3s() -> type[ContainerDriver]:
    """The driver of ``k3s``."""
    from ansible_collections.kplane.core.plugins.module_utils._providers.k3s import K3sDriver

    return K3sDriver


def kubeconfig() -> type[KubeconfigDriver]:
    """The driver of ``kubeconfig``."""
    from ansible_collections.kplane.core.plugins.module_utils._providers.kubeconfig import KubeconfigDriver

    return KubeconfigDriver


#: The drivers that make a cluster of containers, by provider.
CONTAINER_DRIVERS: t.Final[dict[str, t.Callable[[], type[ContainerDriver]]]] = {KIND: kind, K3S: k3s}
