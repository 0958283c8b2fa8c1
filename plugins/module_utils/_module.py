# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a function that returns a result, or raises an error that explains itself, to an Ansible module.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Result = t.Dict[str, t.Any]
Work = t.Callable[[AnsibleModule], Result]


def run(module: AnsibleModule, work: Work) -> t.NoReturn:
    """Do the work of a module; its errors become failures with all that is known about them."""
    hide_secrets(module, module.params.get("management_kubeconfig"))
    try:
        result = work(module)
    except KplaneError as exc:
        module.fail_json(msg=exc.message, **exc.details)
    module.exit_json(**result)


def hide_secrets(module: AnsibleModule, document: t.Any) -> None:
    """Make Ansible replace the secret leaves of ``document`` wherever they would be printed.

    Only the leaves: an option that is secret as a whole would censor every name in it wherever it occurs.
    """
    module.no_log_values.update(_kubeconfig.secrets(document))


def with_diff(module: AnsibleModule, result: Result, diff: Result) -> Result:
    """The result, with the diff if the user wants to see one."""
    if module._diff and (diff.get("before") or diff.get("after")):
        result["diff"] = diff
    return result
