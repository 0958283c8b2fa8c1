# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a function that returns a result, or raises an error that explains itself, to an Ansible module.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Result = t.Dict[str, t.Any]
Work = t.Callable[[AnsibleModule], Result]
#: Options that are documents of the user's, with secrets of theirs in them.
_WITH_SECRETS: t.Final = ("management_kubeconfig", "provider_config", "settings")


class Module(AnsibleModule):
    """An Ansible module that never prints the secrets of its arguments, also not in the log of the host or when it refuses them.

    Only leaves are hidden: an option that is secret as a whole would censor every name in it wherever it occurs.
    """

    def __init__(self, **arguments: t.Any) -> None:
        AnsibleModule.__init__(self, **arguments)

    def _load_params(self) -> None:
        AnsibleModule._load_params(self)
        # Before anything is checked, because a refusal quotes the arguments.
        for option in _WITH_SECRETS:
            self.no_log_values.update(_secrets(self.params.get(option)))


def _secrets(value: t.Any) -> set[str]:
    """The secret leaves of an argument; where the text of a document was given in place of it, the text too."""
    if not isinstance(value, str):
        return _kubeconfig.secrets(value)
    if not is_document(value):
        return set()
    try:
        document = _yaml.load(value.encode(), "an argument")
    except KplaneError:
        document = None
    return {value, value.strip(), *_kubeconfig.secrets(document)}


def is_document(value: str) -> bool:
    """Whether a text is a document, and not a path to one."""
    return "\n" in value.strip() or value.lstrip().startswith(("{", "["))


def run(module: AnsibleModule, work: Work) -> t.NoReturn:
    """Do the work of a module; its errors become failures with all that is known about them."""
    try:
        given = module.params.get("management_kubeconfig")
        if isinstance(given, str) and is_document(given):
            raise KplaneError(
                "management_kubeconfig is the text of a document. It has to be the path of a kubeconfig, or the kubeconfig as a mapping "
                "(the filter from_yaml makes one of a text)"
            )
        result = work(module)
    except KplaneError as exc:
        module.fail_json(msg=exc.message, **exc.details)
    module.exit_json(**result)


def with_diff(module: AnsibleModule, result: Result, diff: Result) -> Result:
    """The result, with the diff if the user wants to see one."""
    if module._diff and (diff.get("before") or diff.get("after")):
        result["diff"] = diff
    return result
