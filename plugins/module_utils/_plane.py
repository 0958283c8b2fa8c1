# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a module to a management plane: its driver, and a client of its API.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _config, _io, _kubeconfig, _kubeconfig_files, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import cluster_name_problem, vcp_path
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError, ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import drivers, registry
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Driver, Plane

Params = t.Mapping[str, t.Any]


class PlaneAbsent(ProviderError):
    """There is no management plane where the options point to."""


class PlaneStopped(ProviderError):
    """The management plane is there, but its API does not answer."""


class Chosen(t.NamedTuple):
    """The driver of the management plane that is meant, and why it is this one."""

    driver: Driver
    reason: str
    config: _config.ConfigFile
    profile: _config.Profile


class Reached(t.NamedTuple):
    """An API to work with. Without a driver, the caller gave a kubeconfig of their own."""

    client: Client
    context: str
    driver: Driver | None

    def endpoints(self, vcp: str) -> tuple[str, str]:
        """The internal and the external address that a VCP made here gets unless declared otherwise."""
        server = self.client.connection.server
        if self.driver is not None:
            return self.driver.endpoints(server, vcp)
        address = server + vcp_path(vcp)
        return address, address


def choose(params: Params) -> Chosen:
    """The driver that the options, the configuration file and the host lead to."""
    config = _config.ConfigFile(params.get("config_path"))
    profile = config.profile()
    choice = registry.choose(params.get("provider") or registry.AUTO, profile.provider, config.path)
    name = params.get("cluster_name") or profile.cluster_name
    problem = cluster_name_problem(name)
    if problem:
        raise ProviderError(problem)
    driver = _driver(choice.provider, name, params, profile)
    return Chosen(driver, choice.reason, config, profile)


def _driver(provider: str, name: str, params: Params, profile: _config.Profile) -> Driver:
    # What the profile remembers belongs to the management plane that it names, not to another one.
    remembered = profile.section(provider) if name == profile.cluster_name else {}
    namespace = params.get("namespace") or profile.namespace
    if provider == drivers.EMBEDDED:
        return drivers.embedded()(name, params.get("data_dir") or remembered.get("dataDir"), params.get("executable"))
    if provider == drivers.KUBECONFIG:
        source = params.get("management_kubeconfig") or remembered.get("path")
        context = params.get("management_context") or remembered.get("context")
        return drivers.kubeconfig()(name, source, context, namespace, float(params.get("request_timeout") or 30.0))
    return drivers.CONTAINER_DRIVERS[provider]()(name, params.get("executable"), namespace)


def reach(params: Params) -> Reached:
    """A client of the management plane's API. Its address and credential come from the options or from the driver."""
    timeout = float(params.get("request_timeout") or 30.0)
    given = params.get("management_kubeconfig")
    if is_given(params):
        connection = _given_connection(given, params.get("management_context"))
        return Reached(Client(connection, timeout), connection.context, None)
    chosen = choose(params)
    plane = require_running(chosen)
    found = chosen.driver.kubeconfig()
    connection = _auth.connection(found.document, found.context, found.base, found.source)
    return Reached(Client(connection, timeout), plane.context, chosen.driver)


def reach_cluster(params: Params) -> Client:
    """A client of the cluster that a stack goes into, whether or not there is one in it yet."""
    timeout = float(params.get("request_timeout") or 30.0)
    if is_given(params):
        return Client(_given_connection(params.get("management_kubeconfig"), params.get("management_context")), timeout)
    driver = choose(params).driver
    if driver.provider == drivers.EMBEDDED:
        raise ProviderError("An embedded management plane has no stack to apply: kplane-server is all of it in one process")
    found = driver.kubeconfig()
    return Client(_auth.connection(found.document, found.context, found.base, found.source), timeout)


def is_given(params: Params) -> bool:
    """Whether the caller leads to an API directly; with the provider ``kubeconfig`` it is the driver that reads what was given."""
    return bool(params.get("management_kubeconfig") or params.get("management_context")) and (params.get("provider") != drivers.KUBECONFIG)


def require_running(chosen: Chosen) -> Plane:
    """The management plane, if its API answers."""
    plane = chosen.driver.find()
    what = f"management plane {chosen.driver.name!r} of the provider {chosen.driver.provider!r} (chosen because {chosen.reason})"
    if plane is None:
        raise PlaneAbsent(
            f"There is no {what}. Bring it up with the playbook kplane.core.up or the module kplane.core.kplane_management_plane."
        )
    if not plane.running:
        raise PlaneStopped(f"The {what} does not answer at {plane.server}. Start it with the playbook kplane.core.up.", server=plane.server)
    return plane


def _given_connection(given: t.Any, context: str | None) -> _auth.Connection:
    """The connection of a kubeconfig that the user gave: a document, a path, or (with a context alone) their own files."""
    if isinstance(given, dict):
        return _auth.connection(_kubeconfig.check(given, "management_kubeconfig"), context, os.getcwd(), "management_kubeconfig")
    if given is not None and not isinstance(given, str):
        raise KubeconfigError("management_kubeconfig has to be a path or a mapping")
    if given:
        path = _io.expand(given)
        content = _io.read_bytes(path)
        if content is None:
            raise KubeconfigError(f"The kubeconfig {path} does not exist", path=path)
        return _auth.connection(_kubeconfig.check(_yaml.load(content, path), path), context, os.path.dirname(path), path)
    snapshot = _kubeconfig_files.KubeconfigFiles(_kubeconfig_files.user_paths()).read()
    base = os.path.dirname(snapshot.paths[0])
    return _auth.connection(snapshot.merged(), context, base, ", ".join(snapshot.paths))


def context_name(params: Params) -> str:
    """The context name of the management plane that is meant, without asking it anything."""
    if is_given(params):
        return _given_connection(params.get("management_kubeconfig"), params.get("management_context")).context
    return choose(params).driver.context


def kubeconfig_paths(params: Params) -> list[str]:
    """The kubeconfig files of the user: as asked, as the environment says, as the configuration file says, the default."""
    if params.get("kubeconfig") or os.environ.get("KUBECONFIG"):
        return _kubeconfig_files.user_paths(params.get("kubeconfig"))
    return _kubeconfig_files.user_paths(_config.ConfigFile(params.get("config_path")).profile().kubeconfig_path or None)
