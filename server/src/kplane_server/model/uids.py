# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uids of objects: UUIDs as text (RFC 9562), made directly, for the ``uuid`` module takes three times as long and they are made often."""

from __future__ import annotations

import hashlib
import os
from typing import Final

#: A hexadecimal digit → the same with the two bits set that say "this variant".
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def random_uid() -> str:
    """A random uid (version 4)."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


def derived_uid(space: bytes, text: str) -> str:
    """The uid that ``text`` has in a name space, which is the 16 bytes of another UUID (version 5): always the same."""
    digits = hashlib.sha1(space + text.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
