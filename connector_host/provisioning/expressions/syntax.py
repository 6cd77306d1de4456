r"""From the text of an expression to its tree, by a grammar.

`Name(argument, …)`, `[attribute]`, `"constant"` with `\\` and `\"`, numbers, `&HF`, `=  <>  <  <=  >  >=`; an argument
may be empty. Case matters everywhere. What the names mean is the catalogue's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TypeAlias, cast

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from connector_host.provisioning.errors import ExpressionError

MAX_CHARS = 10_000
"""The longest expression (Microsoft: known issues of application provisioning)."""

MAX_DEPTH = 60
"""The deepest nesting, so that no expression can exhaust the stack."""

MAX_DIGITS = 30
"""Characters of the longest number; no function takes a larger one."""

GRAMMAR = r"""
start: expression
?expression: operand
           | operand COMPARATOR operand -> comparison
?operand: call | attribute | string | number | hexadecimal | word
call: NAME "(" arguments ")"
arguments: [expression] ("," [expression])*
attribute: ATTRIBUTE
string: STRING
number: NUMBER
hexadecimal: HEXADECIMAL
word: NAME

NAME: /[A-Za-z][A-Za-z0-9]*/
ATTRIBUTE: /\[ *[^\[\]\r\n ][^\[\]\r\n]*\]/
STRING: /"(?:[^"\\]|\\.)*"/s
NUMBER: /[+-]?\d+(\.\d+)?/
HEXADECIMAL: /&H[0-9A-Fa-f]{1,16}/
COMPARATOR: "=" | "<>" | "<=" | ">=" | "<" | ">"
%ignore /\s+/
"""

WORDS: dict[str, str | bool] = {
    "True": True,
    "False": False,
    "vbTextCompare": "vbTextCompare",
    "vbBinaryCompare": "vbBinaryCompare",
}
"""Words that stand for a value without quotes."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the expression."""

    value: str | bool | int | Decimal
    column: int
    depth: int = 0


@dataclass(frozen=True, slots=True)
class AttributeOf:
    """An attribute of the user: `[name]`."""

    name: str
    column: int
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`, true or false."""

    operator: str
    left: Node
    right: Node
    column: int
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; None is an argument that was left empty."""

    name: str
    arguments: tuple[Node | None, ...]
    column: int
    depth: int = field(default=1)


Node: TypeAlias = Constant | AttributeOf | Comparison | Call


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises ExpressionError with the column (from 1) where the text is too long or does not follow the grammar.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(
            f"an expression has {MAX_CHARS} characters at the most, this one has {len(text)}", MAX_CHARS + 1
        )
    if not text.strip():
        raise ExpressionError("the expression is empty", 1)
    try:
        return cast("Node", _parser().parse(text))  # what the transformer's `start` returned
    except UnexpectedInput as failure:
        raise ExpressionError(_explain(failure, text), _column(failure, text)) from None


@cache
def _parser() -> Lark:
    # The transformer runs inside the LALR parser: no recursion over a tree that somebody else made deep.
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=True, transformer=_Nodes())


@v_args(inline=True)
class _Nodes(Transformer[Token, Node]):
    """Builds the tree while the parser reads."""

    def start(self, node: Node) -> Node:
        return node

    def comparison(self, left: Node, operator: Token, right: Node) -> Node:
        return Comparison(str(operator), left, right, _at(operator), _deeper(operator, (left, right)))

    def arguments(self, *parts: Node | None) -> tuple[Node | None, ...]:
        return () if parts == (None,) else parts

    def call(self, name: Token, arguments: tuple[Node | None, ...]) -> Node:
        return Call(str(name), arguments, _at(name), _deeper(name, arguments))

    def attribute(self, token: Token) -> Node:
        return AttributeOf(token[1:-1].strip(), _at(token))

    def string(self, token: Token) -> Node:
        return Constant(_unescape(token), _at(token))

    def number(self, token: Token) -> Node:
        if len(token) > MAX_DIGITS:
            raise ExpressionError(f"a number has {MAX_DIGITS} digits at the most", _at(token))
        return Constant(Decimal(token) if "." in token else int(token), _at(token))

    def hexadecimal(self, token: Token) -> Node:
        return Constant(int(token.replace("&H", "0x"), base=0), _at(token))

    def word(self, token: Token) -> Node:
        if token not in WORDS:
            raise ExpressionError(
                f'{token} stands alone: write [{token}] for an attribute, "{token}" for text, {token}(…) to call',
                _at(token),
            )
        return Constant(WORDS[token], _at(token))


def _at(token: Token) -> int:
    return 1 if token.start_pos is None else token.start_pos + 1


def _deeper(token: Token, parts: tuple[Node | None, ...]) -> int:
    depth = 1 + max((part.depth for part in parts if part is not None), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionError(f"functions are nested more than {MAX_DEPTH} deep", _at(token))
    return depth


def _unescape(token: Token) -> str:
    text, out, position = token[1:-1], [], 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
            character = text[position]
            if character not in '\\"':
                raise ExpressionError(
                    rf"\{character} is no escape: write \\ for a backslash and \" for a quotation mark",
                    _at(token) + position,
                )
        out.append(character)
        position += 1
    return "".join(out)


def _column(failure: UnexpectedInput, text: str) -> int:
    if isinstance(failure, UnexpectedToken) and failure.token.type == "$END":
        return len(text) + 1
    position: int | None = failure.pos_in_stream
    return 1 if position is None else position + 1


def _explain(failure: UnexpectedInput, text: str) -> str:
    position = _column(failure, text) - 1
    rest = text[position : position + 1]
    match rest:
        case "":
            return "the expression ends too early: a parenthesis, an argument or a quotation mark is missing"
        case '"':
            return "unexpected text constant, or one whose closing quotation mark is missing"
        case "[":
            return "unexpected attribute, or one whose closing bracket is missing"
        case _:
            return f"{rest!r} was not expected here"
