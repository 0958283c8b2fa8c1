# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that several modules share; each has its words in a doc fragment of the same name.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.kplane.core.plugins.module_utils._providers.registry import AUTO, CHOICES

ArgumentSpec = t.Dict[str, t.Dict[str, t.Any]]

#: Fragment _plane: which management plane is meant.
PLANE: t.Final[ArgumentSpec] = {
    "provider": {"type": "str", "choices": list(CHOICES), "default": AUTO},
    "cluster_name": {"type": "str"},
    "data_dir": {"type": "path"},
    "config_path": {"type": "path"},
}

#: Fragment _connection: how its API is reached, if not as the provider says.
CONNECTION: t.Final[ArgumentSpec] = {
    "management_kubeconfig": {"type": "raw", "fallback": (env_fallback, ["KPLANE_MANAGEMENT_KUBECONFIG"])},
    "management_context": {"type": "str", "fallback": (env_fallback, ["KPLANE_MANAGEMENT_CONTEXT"])},
    "request_timeout": {"type": "float", "default": 30.0},
}

#: Fragment _wait.
WAIT: t.Final[ArgumentSpec] = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 120.0},
}
