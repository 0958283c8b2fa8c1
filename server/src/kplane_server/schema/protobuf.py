# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes protobuf encoding of documents (``application/vnd.kubernetes.protobuf``), driven by tables of messages.

A document on the wire is four magic bytes and a ``runtime.Unknown`` that holds its type and its bytes. Sources:
https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources and
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import orjson

from kplane_server.model import durations, timestamps
from kplane_server.model.errors import Json

MAGIC: Final = b"k8s\x00"

#: How deep messages may nest; the deepest served type (a schema in a CustomResourceDefinition) is bounded elsewhere at 64.
MAX_DEPTH: Final = 200

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SCHEMA: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Field(NamedTuple):
    """``name`` is None for a message whose fields stand in its parent; ``shape`` is ``""``, ``[]`` or ``{}``."""

    number: int
    name: str | None
    shape: str
    kind: str
    kept: bool


class Message(NamedTuple):
    """The fields of a message, for reading (by number) and for writing (in order)."""

    by_number: dict[int, Field]
    fields: tuple[Field, ...]


class Envelope(NamedTuple):
    """A ``runtime.Unknown``: what a document says of its type, and its undecoded bytes."""

    api_version: str
    kind: str
    raw: bytes


class Codec:
    """Reads and writes messages. ``load`` gives the rows ``[number, JSON name, type, kept]`` of a message; KeyError for none."""

    def __init__(self, load: Callable[[str], Iterable[tuple[int, str | None, str, int]]]) -> None:
        self._load = load
        self._messages: dict[str, Message] = {}

    def message(self, name: str) -> Message:
        found = self._messages.get(name)
        if found is None:
            fields = tuple(_field(*row) for row in self._load(name))
            found = self._messages[name] = Message({field.number: field for field in fields}, fields)
        return found

    # -- reading

    def decode(self, name: str, data: bytes, depth: int = 0) -> dict[str, Json]:
        """The JSON form of a message. Unknown fields are passed over. Raises ``ValueError`` for bytes that are none."""
        if depth > MAX_DEPTH:
            raise ValueError(f"messages nest deeper than {MAX_DEPTH}")
        by_number = self.message(name).by_number
        document: dict[str, Json] = {}
        for number, wire, value in _records(data):
            field = by_number.get(number)
            if field is None:
                continue
            if field.name is None:
                document.update(self.decode(field.kind, _expect_bytes(wire, value), depth + 1))
            elif field.shape == "{}":
                key, item = self._entry(field, _expect_bytes(wire, value), depth)
                document.setdefault(field.name, {})[key] = item
            elif field.shape == "[]":
                items = document.setdefault(field.name, [])
                if wire == _BYTES and field.kind in _PACKABLE:
                    items.extend(_packed(field.kind, _expect_bytes(wire, value)))
                else:
                    items.append(self._value(field.kind, wire, value, depth))
            else:
                item = self._value(field.kind, wire, value, depth)
                if field.kept or item not in _ZEROS:
                    document[field.name] = item
        return document

    def _entry(self, field: Field, data: bytes, depth: int) -> tuple[str, Json]:
        key, wire, value = "", _BYTES, b""
        for number, kind, content in _records(data):
            if number == 1:
                key = _text(_expect_bytes(kind, content))
            elif number == 2:
                wire, value = kind, content  # type: ignore[assignment]
        return key, self._value(field.kind, wire, value, depth)

    def _value(self, kind: str, wire: int, value: int | bytes, depth: int) -> Json:
        scalar = _READ_SCALAR.get(kind)
        if scalar is not None:
            return scalar(wire, value)
        data = _expect_bytes(wire, value)
        special = _READ_SPECIAL.get(kind)
        if special is not None:
            return special(data)
        if kind.startswith("@schema"):
            return self._schema_or(kind, data, depth + 1)
        return self.decode(kind, data, depth + 1)

    def _schema_or(self, kind: str, data: bytes, depth: int) -> Json:
        """JSONSchemaPropsOrArray, …OrBool and …OrStringArray: in JSON, whichever of the two is there."""
        schema: Json = None
        others: list[Json] = []
        allows = False
        for number, wire, value in _records(data):
            if number == 1 and kind == "@schemaorbool":
                allows = bool(value)
            elif number == (2 if kind == "@schemaorbool" else 1):
                schema = self.decode(_SCHEMA, _expect_bytes(wire, value), depth)
            elif number == 2:
                content = _expect_bytes(wire, value)
                others.append(_text(content) if kind == "@schemaorstrings" else self.decode(_SCHEMA, content, depth))
        if schema is not None:
            return schema
        return allows if kind == "@schemaorbool" else others

    # -- writing

    def encode(self, name: str, document: dict[str, Json]) -> bytes:
        """The bytes of a message. Raises ``ValueError`` for a value that its field cannot hold."""
        out = bytearray()
        for field in self.message(name).fields:
            if field.name is None:
                _put_bytes(out, field.number, self.encode(field.kind, document))
                continue
            value = document.get(field.name)
            if value is None:
                continue
            try:
                self._put(out, field, value)
            except (TypeError, AttributeError, struct.error) as error:
                raise ValueError(f"{field.name}: {type(value).__name__} is not a {field.shape}{field.kind}") from error
        return bytes(out)

    def _put(self, out: bytearray, field: Field, value: Json) -> None:
        if field.shape == "{}":
            for key in sorted(value):
                entry = bytearray()
                _put_bytes(entry, 1, key.encode())
                self._put_one(entry, 2, field.kind, value[key])
                _put_bytes(out, field.number, entry)
        elif field.shape == "[]":
            for item in value:
                self._put_one(out, field.number, field.kind, item)
        else:
            self._put_one(out, field.number, field.kind, value)

    def _put_one(self, out: bytearray, number: int, kind: str, value: Json) -> None:
        if kind in ("int32", "int64"):
            _put_varint(out, number << 3 | _VARINT)
            _put_varint(out, int(value) & 0xFFFFFFFFFFFFFFFF)
        elif kind == "bool":
            _put_varint(out, number << 3 | _VARINT)
            out.append(1 if value else 0)
        elif kind == "double":
            _put_varint(out, number << 3 | _FIXED64)
            out += struct.pack("<d", value)
        else:
            _put_bytes(out, number, self._content(kind, value))

    def _content(self, kind: str, value: Json) -> bytes:
        special = _WRITE_SPECIAL.get(kind)
        if special is not None:
            return special(value)
        if not kind.startswith("@schema"):
            return self.encode(kind, value)
        out = bytearray()
        if isinstance(value, bool):
            _put_varint(out, 1 << 3 | _VARINT)
            out.append(1 if value else 0)
        elif isinstance(value, dict):
            if kind == "@schemaorbool":  # Go's marshaller says that a schema allows
                out += b"\x08\x01"
            _put_bytes(out, 2 if kind == "@schemaorbool" else 1, self.encode(_SCHEMA, value))
        else:
            for item in value:
                _put_bytes(out, 2, item.encode() if kind == "@schemaorstrings" else self.encode(_SCHEMA, item))
        return bytes(out)


# -- envelopes and frames


def unwrap(data: bytes) -> Envelope:
    """The envelope of a whole document. Raises ``ValueError``."""
    if not data.startswith(MAGIC):
        raise ValueError("the body does not start with the protobuf magic bytes")
    api_version = kind = ""
    raw = b""
    for number, wire, value in _records(data[len(MAGIC) :]):
        if number == 1:
            for part, inner, text in _records(_expect_bytes(wire, value)):
                if part == 1:
                    api_version = _text(_expect_bytes(inner, text))
                elif part == 2:
                    kind = _text(_expect_bytes(inner, text))
        elif number == 2:
            raw = _expect_bytes(wire, value)
    return Envelope(api_version, kind, raw)


def wrap(envelope: Envelope) -> bytes:
    """A whole document."""
    meta = bytearray()
    _put_bytes(meta, 1, envelope.api_version.encode())
    _put_bytes(meta, 2, envelope.kind.encode())
    out = bytearray(MAGIC)
    _put_bytes(out, 1, meta)
    _put_bytes(out, 2, envelope.raw)
    _put_bytes(out, 3, b"")
    _put_bytes(out, 4, b"")
    return bytes(out)


def watch_frame(event_type: str, document: bytes) -> bytes:
    """A length-delimited ``WatchEvent`` whose object is a whole document: one frame of a protobuf watch."""
    extension, event = bytearray(), bytearray()
    _put_bytes(extension, 1, document)
    _put_bytes(event, 1, event_type.encode())
    _put_bytes(event, 2, extension)
    return struct.pack(">I", len(event)) + bytes(event)


# -- the wire


def _records(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(field number, wire type, value) of a message: an integer for varints, bytes for all else."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire == _FIXED64:
            size = 8
        elif wire == _FIXED32:
            size = 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > end:
            raise ValueError("truncated message")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("truncated or overlong integer")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _put_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _put_bytes(out: bytearray, number: int, content: bytes | bytearray) -> None:
    _put_varint(out, number << 3 | _BYTES)
    _put_varint(out, len(content))
    out += content


def _expect_bytes(wire: int, value: int | bytes) -> bytes:
    if wire != _BYTES or not isinstance(value, bytes):
        raise ValueError(f"wire type {wire} where bytes are expected")
    return value


def _text(data: bytes) -> str:
    return data.decode("utf-8")  # a UnicodeDecodeError is a ValueError


def _field(number: int, name: str | None, kind: str, kept: int) -> Field:
    shape = kind[:2] if kind.startswith(("[]", "{}")) else ""
    return Field(number, name, shape, kind[len(shape) :], bool(kept))


# -- scalars and messages with a JSON form of their own


def _signed(wire: int, value: int | bytes) -> int:
    if wire != _VARINT or not isinstance(value, int):
        raise ValueError(f"wire type {wire} where an integer is expected")
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


def _double(wire: int, value: int | bytes) -> float:
    if wire != _FIXED64 or not isinstance(value, bytes):
        raise ValueError(f"wire type {wire} where a double is expected")
    number: float = struct.unpack("<d", value)[0]
    return number


def _packed(kind: str, data: bytes) -> list[Json]:
    """A list of numbers in one record, which proto3 writers may send."""
    if kind == "double":
        return [_double(_FIXED64, data[at : at + 8]) for at in range(0, len(data), 8)]
    numbers, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        numbers.append(bool(value) if kind == "bool" else _signed(_VARINT, value))
    return numbers


def _numbers(data: bytes) -> dict[int, int]:
    """The varint fields of a small message."""
    return {number: _signed(wire, value) for number, wire, value in _records(data) if wire == _VARINT}


def _read_time(data: bytes) -> str | None:
    seconds = _numbers(data).get(1)
    return None if seconds is None else _moment(seconds, 0, timestamps.from_epoch)


def _read_micro_time(data: bytes) -> str | None:
    fields = _numbers(data)
    return _moment(fields[1], fields.get(2, 0), timestamps.micro_from_epoch) if 1 in fields else None


def _moment(seconds: int, nanos: int, form: Callable[[float], str]) -> str | None:
    # Go's zero time, the year 1, is a time that was never set.
    if seconds <= -62135596800:
        return None
    if not -62135596800 < seconds < 253402300800:
        raise ValueError(f"time {seconds} is out of range")
    return form(seconds + nanos // 1000 / 1_000_000)


def _write_time(value: str) -> bytes:
    since = timestamps.parse(value) - _EPOCH
    out = bytearray(b"\x08")
    _put_varint(out, (since // timedelta(seconds=1)) & 0xFFFFFFFFFFFFFFFF)
    out.append(0x10)
    _put_varint(out, since.microseconds * 1000)
    return bytes(out)


def _first_text(data: bytes) -> str:
    return _text(next((_expect_bytes(wire, value) for number, wire, value in _records(data) if number == 1), b""))


def _write_first(content: bytes) -> bytes:
    out = bytearray()
    _put_bytes(out, 1, content)
    return bytes(out)


def _read_json(data: bytes) -> Json:
    text = next((_expect_bytes(wire, value) for number, wire, value in _records(data) if number == 1), b"")
    if text.startswith(MAGIC):
        raise ValueError("an embedded document in protobuf; only JSON can be embedded")
    return orjson.loads(text) if text else None


def _read_int_or_string(data: bytes) -> int | str:
    fields: dict[int, int | bytes] = {number: value for number, _, value in _records(data)}
    if fields.get(1) == 1:
        return _text(_expect_bytes(_BYTES, fields.get(3, b"")))
    return _signed(_VARINT, fields.get(2, 0))


def _write_int_or_string(value: int | str) -> bytes:
    out = bytearray()
    if isinstance(value, str):
        out += b"\x08\x01\x10\x00"
        _put_bytes(out, 3, value.encode())
    else:
        out += b"\x08\x00\x10"
        _put_varint(out, value & 0xFFFFFFFFFFFFFFFF)
        _put_bytes(out, 3, b"")
    return bytes(out)


def _read_strings(data: bytes) -> list[str]:
    return [_text(_expect_bytes(wire, value)) for number, wire, value in _records(data) if number == 1]


def _write_strings(value: list[str]) -> bytes:
    out = bytearray()
    for item in value:
        _put_bytes(out, 1, item.encode())
    return bytes(out)


def _write_duration(value: str) -> bytes:
    out = bytearray(b"\x08")
    _put_varint(out, durations.parse(value) & 0xFFFFFFFFFFFFFFFF)
    return bytes(out)


#: Scalars whose zero is left out of JSON where ``omitempty`` says so, and what empty messages become.
_ZEROS: Final[tuple[Json, ...]] = ("", 0, False, None, {}, [])

_PACKABLE: Final = frozenset({"int32", "int64", "bool", "double"})

_READ_SCALAR: Final[dict[str, Callable[[int, int | bytes], Json]]] = {
    "string": lambda wire, value: _text(_expect_bytes(wire, value)),
    "bytes": lambda wire, value: base64.b64encode(_expect_bytes(wire, value)).decode(),
    "bool": lambda wire, value: bool(_signed(wire, value)),
    "int32": _signed,
    "int64": _signed,
    "double": _double,
}

_READ_SPECIAL: Final[dict[str, Callable[[bytes], Json]]] = {
    "@time": _read_time,
    "@microtime": _read_micro_time,
    "@duration": lambda data: durations.format(_numbers(data).get(1, 0)),
    "@json": _read_json,
    "@quantity": _first_text,
    "@intorstring": _read_int_or_string,
    "@strings": _read_strings,
}

_WRITE_SPECIAL: Final[dict[str, Callable[[Json], bytes]]] = {
    "string": lambda value: value.encode(),
    "bytes": lambda value: base64.b64decode(value, validate=True),
    "@time": _write_time,
    "@microtime": _write_time,
    "@duration": _write_duration,
    "@json": lambda value: _write_first(orjson.dumps(value)),
    "@quantity": lambda value: _write_first(str(value).encode()),
    "@intorstring": _write_int_or_string,
    "@strings": _write_strings,
}
