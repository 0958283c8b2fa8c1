# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of provider drivers: what makes, finds and removes a management plane.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import abc
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._contract import vcp_path
from ansible_collections.kplane.core.plugins.module_utils._kubeconfig import Document


class Plane(t.NamedTuple):
    """A management plane as it is found; one that is not running may not know all of itself."""

    provider: str
    name: str
    context: str
    running: bool
    server: str = ""
    host: str = ""
    port: int = 0
    version: str = ""
    kubeconfig: str = ""
    data_dir: str = ""

    def summary(self) -> dict[str, t.Any]:
        """What modules return of it."""
        return dict(self._asdict())


class Options(t.NamedTuple):
    """What the user declared about a management plane; ``None`` and empty mean that nothing was declared."""

    port: int | None = None
    host: str | None = None
    advertise_addresses: tuple[str, ...] = ()
    wait_timeout: float = 60.0
    node_image: str | None = None
    #: A configuration of the user's own for the program that makes the cluster.
    provider_config: dict[str, t.Any] | None = None
    #: Registries and the mirrors that nodes ask before them.
    registry_mirrors: t.Mapping[str, t.Sequence[str]] | None = None
    #: Images of the Docker daemon that nodes get without a registry.
    images: tuple[str, ...] = ()


class Drift(t.NamedTuple):
    """A declared option that the management plane does not have and cannot take on while it runs."""

    option: str
    found: t.Any
    declared: t.Any

    def text(self) -> str:
        """For people."""
        return f"{self.option} is {self.found!r}, declared is {self.declared!r}"


class Kubeconfig(t.NamedTuple):
    """The administrator's kubeconfig of a management plane, and the directory that its relative paths start at."""

    document: Document
    context: str
    source: str
    base: str = ""


class Driver(abc.ABC):
    """Drives one management plane of one provider. Nothing is done by making a driver."""

    #: The name of the provider, and what its contexts start with.
    provider: t.ClassVar[str]
    context_prefix: t.ClassVar[str]
    #: Whether the user's kubeconfig may get a context for the management plane; one that is the user's own already may not.
    writes_context: t.ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def context(self) -> str:
        """The name of the kubeconfig context of the management plane."""
        return self.context_prefix + self.name

    @abc.abstractmethod
    def find(self) -> Plane | None:
        """The management plane as it is, or ``None`` if there is none. Changes nothing."""

    @abc.abstractmethod
    def missing(self) -> str:
        """What has to be installed before a management plane can be made, or an empty string."""

    @abc.abstractmethod
    def create(self, options: Options) -> Plane:
        """Make the management plane, or start the one that is stopped; it answers when this returns."""

    @abc.abstractmethod
    def recreate(self, options: Options) -> Plane:
        """Make it anew with other options; a driver that can do so keeps its data."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop it and keep its data."""

    @abc.abstractmethod
    def delete(self) -> None:
        """Remove it with everything in it."""

    @abc.abstractmethod
    def drift(self, plane: Plane, options: Options) -> list[Drift]:
        """The declared options that ``plane`` does not have."""

    @abc.abstractmethod
    def planes(self) -> list[str]:
        """The names of all management planes of this provider."""

    @abc.abstractmethod
    def kubeconfig(self) -> Kubeconfig:
        """The administrator's kubeconfig."""

    @abc.abstractmethod
    def remembered(self, plane: Plane) -> Document:
        """What the configuration file should remember, so that later commands reach the same management plane."""

    def endpoints(self, server: str, vcp: str) -> tuple[str, str]:
        """The internal and the external address of a VCP of the management plane that answers at ``server``."""
        address = server.rstrip("/") + vcp_path(vcp)
        return address, address
