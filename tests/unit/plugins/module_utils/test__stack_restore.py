# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a stack is restored, and when it is not. That it works is in tests/upstream."""

from __future__ import annotations

import types

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _stack, _stack_restore
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound
from ansible_collections.kplane.core.plugins.module_utils._stack_backup import Site

IMAGES = {"etcd": "quay.io/coreos/etcd:v3.5.13", "apiserver": "docker.io/kplanedev/apiserver:v0.0.10"}
ABOUT = {"id": "x", "namespace": "kplane-system", "issuer": "https://issuer", "prefix": "/registry/", "images": IMAGES, "revision": 7}


class Cluster:
    """What ``needed`` asks of a cluster."""

    def __init__(self, planes=0, marker=None):
        self.planes = planes
        self.marker = marker

    def get(self, resource, name, namespace=""):
        if self.marker is None:
            raise NotFound("not there", code=404)
        return {"data": self.marker}

    def list_all(self, resource):
        return [{}] * self.planes, "1"


def needed(planes=0, marker=None, force=False, **about):
    inventory = _stack.NOTHING._replace(images=IMAGES, complete=True)
    site = Site(Cluster(planes, marker), "kplane-system", 1.0, inventory, "https://issuer", b"/registry/")
    return _stack_restore.needed(site, types.SimpleNamespace(manifest={**ABOUT, **about}), force)


DONE = {"backup": "x", "complete": "true"}
BEGUN = {"backup": "x", "complete": "false"}
OTHER_BEGUN = {"backup": "y", "complete": "false"}
OTHER_DONE = {"backup": "y", "complete": "true"}


@pytest.mark.parametrize(
    ("planes", "marker", "force", "answer"),
    [
        (0, None, False, True),
        (3, None, True, True),
        (3, DONE, False, False),
        (3, DONE, True, True),
        # One that was begun goes on, whatever is there now.
        (3, BEGUN, False, True),
        (3, BEGUN, True, True),
        (0, OTHER_DONE, False, True),
        (3, OTHER_DONE, True, True),
        (0, OTHER_BEGUN, True, True),
    ],
)
def test_whether_there_is_something_to_do(planes, marker, force, answer):
    assert needed(planes, marker, force) is answer


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"planes": 3}, r"has 3 virtual control planes, which the restore would replace: nothing was changed"),
        ({"planes": 3, "marker": OTHER_DONE}, r"has 3 virtual control planes"),
        ({"marker": OTHER_BEGUN}, r"A restore of another backup was begun"),
        ({"namespace": "other", "force": True}, r"the namespace 'other', this one has 'kplane-system'"),
        ({"issuer": "https://other", "force": True}, r"the issuer 'https://other'"),
        ({"prefix": "/other/", "force": True}, r"the prefix '/other/'"),
        ({"images": {"etcd": "quay.io/coreos/etcd:v3.6.0"}, "force": True}, r"The stack is older than the one of the backup \(etcd from"),
    ],
)
def test_what_would_do_harm_is_refused(arguments, words):
    with pytest.raises(KplaneError, match=words):
        needed(**arguments)


def test_a_stack_whose_restore_is_not_complete_is_left_alone():
    for marker in (None, DONE):
        _stack_restore.require_none_begun(Cluster(marker=marker), "kplane-system")
    with pytest.raises(KplaneError, match=r"was begun and did not come to its end"):
        _stack_restore.require_none_begun(Cluster(marker=BEGUN), "kplane-system")
