# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the text of an expression to its tree."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from kplane_server.schema.cel.values import CompileError, Uint

#: Longer expressions are refused, and those with more brackets in each other, or deeper trees: what walks a tree recurses.
MAX_LENGTH: Final = 64 * 1024
MAX_NESTING: Final = 50
MAX_DEPTH: Final = 100


class Literal(NamedTuple):
    value: Any
    position: int


class Ident(NamedTuple):
    name: str
    position: int


class Select(NamedTuple):
    """``operand.field`` or ``operand.?field``."""

    operand: Node
    field: str
    optional: bool
    position: int


class Index(NamedTuple):
    """``operand[index]`` or ``operand[?index]``."""

    operand: Node
    key: Node
    optional: bool
    position: int


class Call(NamedTuple):
    """``function(arguments)`` or ``target.function(arguments)``; operators have names such as ``_+_``."""

    target: Node | None
    function: str
    arguments: tuple[Node, ...]
    position: int


class ListOf(NamedTuple):
    """``[a, ?b]``: elements and whether each is optional."""

    items: tuple[tuple[Node, bool], ...]
    position: int


class MapOf(NamedTuple):
    """``{a: b, ?c: d}``: keys, values, and whether each entry is optional."""

    entries: tuple[tuple[Node, Node, bool], ...]
    position: int


RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace"}
    | {"return", "var", "void", "while"}
)
_QUOTED = r"""(?:[rR])?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')"""
_RAW = r"""[rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\r\n]*"|'[^'\r\n]*')"""
_TOKEN = re.compile(
    rf"""
      (?P<space>(?:[ \t\r\n\f]|//[^\n]*)+)
    | (?P<bytes>[bB](?:{_RAW}|{_QUOTED})|[rR][bB]{_QUOTED})
    | (?P<text>{_RAW}|{_QUOTED})
    | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<int>0[xX][0-9a-fA-F]+|\d+)(?P<unsigned>[uU]?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{{}}])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"""\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))""", re.DOTALL)
_SIMPLE: Final = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34, "`": 96, "?": 63}
_PRECEDENCE: Final = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("<", "<=", ">=", ">", "==", "!=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_KEYWORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}


class StructOf(NamedTuple):
    """``Name.of.type{field: value, ?field: value}``: the type, and fields with whether each is optional."""

    name: str
    fields: tuple[tuple[str, Node, bool], ...]
    position: int


class Presence(NamedTuple):
    """``has(operand.field)``; this one and the next two are made by ``expansion`` alone."""

    operand: Node
    field: str
    position: int


class Loop(NamedTuple):
    """A fold over a list or a map; ``names`` are of one variable or two."""

    over: Node
    names: tuple[str, ...]
    result: str
    start: Node
    condition: Node
    step: Node
    end: Node
    position: int


class Bind(NamedTuple):
    """A name for a value, inside of ``inner``."""

    name: str
    value: Node
    inner: Node
    position: int


Node = Literal | Ident | Select | Index | Call | ListOf | MapOf | StructOf | Presence | Loop | Bind


def dotted(node: Node) -> str:
    """The name that a chain of selections spells, or nothing."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.optional:
        prefix = dotted(node.operand)
        return f"{prefix}.{node.field}" if prefix else ""
    return ""


class _Token(NamedTuple):
    kind: str
    text: str
    value: Any
    position: int


def _unescape(text: str, position: int, *, as_bytes: bool) -> str | bytes:
    """The value of the inside of a quoted literal."""
    out: list[int] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        out.extend(_codes(text[end : found.start()], as_bytes))
        end = found.end()
        short, short2, four, eight, octal, simple = found.groups()
        if simple is not None:
            if simple not in _SIMPLE:
                raise CompileError(f"unable to unescape string: \\{simple}", position)
            out.append(_SIMPLE[simple])
        elif octal is not None or short is not None or short2 is not None:
            out.append(int(octal, 8) if octal is not None else int(short or short2, 16))
        else:
            code = int(four or eight, 16)
            if as_bytes or code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise CompileError("unable to unescape unicode code point", position)
            out.append(code)
    out.extend(_codes(text[end:], as_bytes))
    return bytes(out) if as_bytes else "".join(map(chr, out))


def _codes(text: str, as_bytes: bool) -> list[int]:
    return list(text.encode()) if as_bytes else [ord(c) for c in text]


def _quoted(token: str, position: int, *, as_bytes: bool) -> str | bytes:
    prefix = token[: min(token.index(q) for q in "\"'" if q in token)].lower()
    inside = token[len(prefix) :]
    width = 3 if inside[:3] in ('"""', "'''") and len(inside) >= 6 else 1
    inside = inside[width:-width]
    if "r" in prefix:
        return inside.encode() if as_bytes else inside
    return _unescape(inside, position, as_bytes=as_bytes)


def _tokens(text: str) -> list[_Token]:
    out: list[_Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise CompileError(f"Syntax error: token recognition error at: '{text[position : position + 8]}'", position)
        kind, token = found.lastgroup or "", found[0]
        if kind == "unsigned":
            number = int(found["int"], 16 if found["int"][:2] in ("0x", "0X") else 10)
            if found["unsigned"]:
                if number >= 2**64:
                    raise CompileError("invalid uint literal", position)
                out.append(_Token("literal", token, Uint(number), position))
            else:
                out.append(_Token("int", token, number, position))
        elif kind == "float":
            out.append(_Token("literal", token, float(token), position))
        elif kind in ("text", "bytes"):
            out.append(_Token("literal", token, _quoted(token, position, as_bytes=kind == "bytes"), position))
        elif kind != "space":
            out.append(_Token(kind, token, None, position))
        position = found.end()
    out.append(_Token("end", "<EOF>", None, len(text)))
    return out


def _balanced(function: str, operands: list[Node], position: int) -> Node:
    """One operator over many operands: a long chain of conditions need not be a deep tree."""
    while len(operands) > 1:
        pairs = [operands[at : at + 2] for at in range(0, len(operands), 2)]
        operands = [Call(None, function, (pair[0], pair[1]), position) if len(pair) == 2 else pair[0] for pair in pairs]
    return operands[0]


def _check_depth(root: Node) -> None:
    level: list[Node] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise CompileError("expression recursion limit exceeded", root.position)


def _children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Index():
            return [node.operand, node.key]
        case Call():
            return [*node.arguments, node.target] if node.target is not None else list(node.arguments)
        case ListOf():
            return [item for item, _ in node.items]
        case MapOf():
            return [part for key, value, _ in node.entries for part in (key, value)]
        case StructOf():
            return [value for _, value, _ in node.fields]
    return []


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0

    def peek(self, *signs: str) -> bool:
        token = self.tokens[self.at]
        return token.kind in ("sign", "word") and token.text in signs

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, sign: str) -> bool:
        if self.peek(sign):
            self.at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            self.fail(f"expecting '{sign}'")

    def fail(self, wanted: str = "") -> None:
        token = self.tokens[self.at]
        raise CompileError(f"Syntax error: mismatched input '{token.text}' {wanted}".rstrip(), token.position)

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise CompileError("expression recursion limit exceeded", self.tokens[self.at].position)
        node = self.operation(1)
        if self.peek("?"):
            position = self.take().position
            yes = self.operation(1)
            self.expect(":")
            node = Call(None, "_?_:_", (node, yes, self.expression()), position)
        self.depth -= 1
        return node

    def operation(self, least: int) -> Node:
        """Binary operators that bind at least so tightly, by precedence climbing."""
        node = self.unary()
        while (binds := self.precedence()) >= least:
            token = self.take()
            operands = [node, self.operation(binds + 1)]
            if token.text in ("&&", "||"):
                while self.accept(token.text):
                    operands.append(self.operation(binds + 1))
            node = _balanced(f"_{token.text}_", operands, token.position)
        return node

    def precedence(self) -> int:
        token = self.tokens[self.at]
        return _PRECEDENCE.get(token.text, 0) if token.kind in ("sign", "word") else 0

    def unary(self) -> Node:
        token = self.tokens[self.at]
        if self.peek("!", "-"):
            count = 0
            while self.accept(token.text):
                count += 1
            following = self.tokens[self.at]
            if token.text == "-" and following.kind == "int" and count % 2:
                return self.member(self.integer(-1))
            if token.text == "-" and isinstance(following.value, float) and count % 2:
                self.at += 1
                return self.member(Literal(-following.value, following.position))
            node = self.member(self.primary())
            return Call(None, f"{token.text}_", (node,), token.position) if count % 2 else node
        return self.member(self.primary())

    def integer(self, sign: int = 1) -> Node:
        token = self.take()
        number = sign * token.value
        if not -(2**63) <= number < 2**63:
            raise CompileError("invalid int literal", token.position)
        return Literal(number, token.position)

    def member(self, node: Node) -> Node:
        while True:
            token = self.tokens[self.at]
            if self.accept("."):
                optional = self.accept("?")
                name = self.take()
                if name.kind != "word" or name.text in ("in", *_KEYWORDS):
                    self.at -= 1
                    self.fail("expecting IDENTIFIER")
                if not optional and self.peek("("):
                    at = self.tokens[self.at].position
                    node = Call(node, name.text, self.arguments(), at)
                else:
                    node = Select(node, name.text, optional, token.position)
            elif self.accept("["):
                optional = self.accept("?")
                node = Index(node, self.expression(), optional, token.position)
                self.expect("]")
            elif self.peek("{") and (struct := dotted(node)):
                node = self.struct_of(struct, token.position)
            else:
                return node

    def arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        out: list[Node] = []
        if not self.accept(")"):
            out.append(self.expression())
            while self.accept(","):
                out.append(self.expression())
            self.expect(")")
        return tuple(out)

    def primary(self) -> Node:
        token = self.tokens[self.at]
        if token.kind == "int":
            return self.integer()
        if token.kind == "literal":
            self.at += 1
            return Literal(token.value, token.position)
        if self.accept("("):
            node = self.expression()
            self.expect(")")
            return node
        if self.accept("["):
            return self.list_of(token.position)
        if self.accept("{"):
            return self.map_of(token.position)
        self.accept(".")  # a leading dot only says that the name is absolute
        return self.word()

    def word(self) -> Node:
        token = self.tokens[self.at]
        if token.kind != "word" or token.text == "in":
            self.fail()
        self.at += 1
        if token.text in _KEYWORDS:
            return Literal(_KEYWORDS[token.text], token.position)
        if token.text in RESERVED:
            raise CompileError(f"reserved identifier: {token.text}", token.position)
        if self.peek("("):
            at = self.tokens[self.at].position  # where cel-go, too, says that a call is
            return Call(None, token.text, self.arguments(), at)
        return Ident(token.text, token.position)

    def list_of(self, position: int) -> Node:
        items: list[tuple[Node, bool]] = []
        while not self.peek("]"):
            optional = self.accept("?")
            items.append((self.expression(), optional))
            if not self.accept(","):
                break
        self.expect("]")
        return ListOf(tuple(items), position)

    def struct_of(self, name: str, position: int) -> Node:
        self.expect("{")
        fields: list[tuple[str, Node, bool]] = []
        while not self.peek("}"):
            optional = self.accept("?")
            field = self.take()
            if field.kind != "word" or field.text in ("in", *_KEYWORDS):
                self.at -= 1
                self.fail("expecting IDENTIFIER")
            self.expect(":")
            fields.append((field.text, self.expression(), optional))
            if not self.accept(","):
                break
        self.expect("}")
        return StructOf(name, tuple(fields), position)

    def map_of(self, position: int) -> Node:
        entries: list[tuple[Node, Node, bool]] = []
        while not self.peek("}"):
            optional = self.accept("?")
            key = self.expression()
            self.expect(":")
            entries.append((key, self.expression(), optional))
            if not self.accept(","):
                break
        self.expect("}")
        return MapOf(tuple(entries), position)


@lru_cache(maxsize=4)
def parse(text: str) -> Node:
    """The tree of an expression, which nobody changes: who checks it compiles it next. Raises :class:`CompileError`."""
    if len(text) > MAX_LENGTH:
        raise CompileError(f"expression is longer than {MAX_LENGTH} characters", 0)
    parser = _Parser(text)
    node = parser.expression()
    if parser.tokens[parser.at].kind != "end":
        parser.fail("expecting <EOF>")
    _check_depth(node)
    return node
