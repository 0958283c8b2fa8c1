# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""String formats that a CustomResourceDefinition may ask for.

Source: the description of ``format`` in ``apiextensions.k8s.io/v1.JSONSchemaProps``; unknown formats are ignored.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Final

from kplane_server.model.metadata import dns1123_label_problems, dns1123_subdomain_problems

_HOST_LABEL = re.compile(r"[^\W_](?:[\w-]*[^\W_])?")
_DURATION_GO = re.compile(r"[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_DURATION_WORDS = re.compile(
    r"((?:\d+)\s*(?:d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|w|weeks?|ms|millis?|milliseconds?|"
    r"µs|us|micros?|microseconds?|ns|nanos?|nanoseconds?))+",
    re.ASCII | re.IGNORECASE,
)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")
_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}"
    r"|(?:2131|1800|35[0-9]{3})[0-9]{11})"
)
#: Longer texts are of no format here; a bound for the matchers below.
_MAX_LENGTH: Final = 1024 * 1024


def _pattern(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    match = re.compile(pattern, flags | re.ASCII).fullmatch
    return lambda text: match(text) is not None


def _is_hostname(text: str) -> bool:
    if len(text.encode()) > 255:
        return False
    labels = text.split(".")
    if any(len(label.encode()) > 63 or not _HOST_LABEL.fullmatch(label) for label in labels):
        return False
    return len(labels) == 1 or (len(labels[-1]) >= 2 and labels[-1].isalpha())


def _is_email(text: str) -> bool:
    """``local@domain``, or with a display name before it in angle brackets."""
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1]
    local, at, domain = text.rpartition("@")
    return bool(at and local and domain) and not re.search(r"[\s()<>,;:\\\[\]]", text) and ".." not in text and local.strip(".") == local


def _sloppy(text: str) -> str:
    """IPv4 with the leading zeros that older Kubernetes versions tolerated taken away."""
    return re.sub(r"(^|\.)0+(?=[0-9])", r"\1", text)


def _is_ipv4(text: str) -> bool:
    try:
        return "." in text and bool(ipaddress.ip_address(_sloppy(text) if ":" not in text else text))
    except ValueError:
        return False


def _is_ipv6(text: str) -> bool:
    try:
        return ":" in text and "%" not in text and bool(ipaddress.IPv6Address(text) or True)
    except ValueError:
        return False


def _is_cidr(text: str) -> bool:
    address, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch("[0-9]{1,3}", prefix) or "%" in address:
        return False
    try:
        parsed = ipaddress.ip_address(address if ":" in address else _sloppy(address))
    except ValueError:
        return False
    return int(prefix) <= parsed.max_prefixlen


def _is_uri(text: str) -> bool:
    return bool(re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S", text) or text.startswith("/")) and not re.search(r"[\x00-\x20\x7f]", text)


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch("[0-9]{9}[0-9X]", digits):
        return False
    return sum((index + 1) * (10 if c == "X" else int(c)) for index, c in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    return bool(re.fullmatch("[0-9]{13}", digits)) and sum((1, 3)[i % 2] * int(c) for i, c in enumerate(digits)) % 10 == 0


def _is_credit_card(text: str) -> bool:
    digits = re.sub("[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(c) if i % 2 == 0 else sum(divmod(int(c) * 2, 10)) for i, c in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_date(text: str) -> bool:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_datetime(text: str) -> bool:
    day, separator, rest = text.lower().partition("t")
    found = _TIME.fullmatch(rest)
    return bool(separator) and _is_date(day) and found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def _is_duration(text: str) -> bool:
    return _DURATION_GO.fullmatch(text) is not None or _DURATION_WORDS.search(text) is not None


def _uuid(third: str, fourth: str) -> Callable[[str], bool]:
    return _pattern(f"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{third}-?{fourth}-?[0-9a-f]{{12}}", re.IGNORECASE)


_ANY4 = "[0-9a-f]{4}"
_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "cidr": _is_cidr,
    "mac": _pattern(r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?:(?:\1[0-9a-f]{2}){2})?|(?:[0-9a-f]{4}\.){2,3}[0-9a-f]{4}", re.I),
    "uuid": _uuid(_ANY4, _ANY4),
    "uuid3": _uuid("3[0-9a-f]{3}", _ANY4),
    "uuid4": _uuid("4[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
    "uuid5": _uuid("5[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": _pattern("[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}"),
    "hexcolor": _pattern("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(r"rgb\(\s*(?:(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*){2}(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)"),
    "byte": _pattern("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda text: True,
    "date": _is_date,
    "duration": _is_duration,
    "datetime": _is_datetime,
    "k8sshortname": lambda text: not dns1123_label_problems(text),
    "k8slongname": lambda text: not dns1123_subdomain_problems(text),
}


def is_known_format(name: str) -> bool:
    """Whether the format is one that strings are checked for."""
    return name.replace("-", "") in _CHECKS


def has_format(text: str, name: str) -> bool:
    """Whether ``text`` is of a format; a format that is not known is of no consequence."""
    check = _CHECKS.get(name.replace("-", ""))
    return check is None or (len(text) <= _MAX_LENGTH and check(text))
