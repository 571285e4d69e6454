"""Frozen records to JSON values and back, strictly. Pure.

A record is a `Record`, or a frozen dataclass of another folder. Fields may be str, int, float, bool, bytes (base64),
Literal, StrEnum, NewType of str, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`, `Json`, and records. Decoding checks
every type and names the path of what is wrong; keys it does not know are ignored, so that a newer minor version may add
some. Bytes on the wire are `frames.py`'s business.
"""

from __future__ import annotations

import binascii
import enum
import sys
import types
from collections.abc import Callable, Mapping

from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

Json = object
"""Any JSON value, its shape not looked into: `None | bool | int | float | str | list | dict`."""

Decoder = Callable[["Any", str], "Any"]


class ShapeError(ValueError):
    """A JSON value that does not have the shape of the record it should be."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


_PLAIN = frozenset((str, int, float, bool, type(None)))
"""What is its own JSON value: asked first, because most fields are."""


def to_json(value: Any) -> Any:
    """Return the JSON value of a record or of a field's value. Fields at their default are left out."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Record) or hasattr(kind, "__dataclass_fields__"):
        defaults, members = _defaults_of(kind), {}
        for name in kind.__annotations__:
            item = getattr(value, name)
            if name not in defaults or item != defaults[name]:
                members[name] = item if type(item) in _PLAIN else to_json(item)
        return members
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(record: type[T], value: object, path: str = "") -> T:
    """Return the record that the JSON value describes; raise ShapeError where it does not fit."""
    decoded: T = _record_decoder(record)(value, path or record.__name__)
    return decoded


_decoders: dict[type, Decoder] = {}
"""One for each record that has been decoded: reading annotations is not free."""


def _record_decoder(record: type) -> Decoder:
    decoder = _decoders.get(record)
    if decoder is None:
        decoder = _decoders[record] = _make_record_decoder(record)
    return decoder


def _make_record_decoder(record: type) -> Decoder:
    defaults = _defaults_of(record)
    plan = [(name, _decoder(hint), name not in defaults) for name, hint in _hints_of(record).items()]

    def decode(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise ShapeError(path, f"expected an object, got {_kind(value)}")
        arguments = {}
        for name, decode_field, required in plan:
            if name in value:
                arguments[name] = decode_field(value[name], f"{path}.{name}")
            elif required:
                raise ShapeError(f"{path}.{name}", "is missing")
        try:
            return record(**arguments)
        except ValueError as error:
            raise ShapeError(path, str(error)) from error

    return decode


# --- Reading annotations, without `typing`: importing it would cost an agent's start more than all of this file


class _Literal:
    """What `Literal[...]` in an annotation is while it is read here."""

    def __init__(self, *choices: object, or_none: bool = False) -> None:
        self.choices = choices
        self.or_none = or_none

    def __getitem__(self, choices: object) -> _Literal:
        return _Literal(*choices) if isinstance(choices, tuple) else _Literal(choices)

    def __or__(self, other: None) -> _Literal:
        return _Literal(*self.choices, or_none=True)


_ANNOTATION_WORDS = {"Literal": _Literal(), "Mapping": Mapping}


def _hints_of(record: type) -> dict[str, Any]:
    """Return each field's annotation as an object; they are strings where a file defers them, as all of ours do."""
    known = {**vars(sys.modules[record.__module__]), **_ANNOTATION_WORDS}
    return {name: eval(text, known) for name, text in record.__annotations__.items()}


def _defaults_of(record: Any) -> Mapping[str, object]:
    """Return the fields that need not be given; of a factory's, a value that equals nothing."""
    if issubclass(record, Record):
        return dict(record.record_defaults)
    import dataclasses  # whoever has a dataclass has paid for it

    return {
        field.name: field.default
        for field in dataclasses.fields(record)
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    }


def _decoder(hint: Any) -> Decoder:
    if hint is object:
        return check_json
    if str(getattr(hint, "__origin__", "")) == "typing.Literal":
        hint = _Literal(*hint.__args__)
    if isinstance(hint, _Literal):
        decode = _choice_decoder({choice: choice for choice in hint.choices})
        return _optional_decoder(decode) if hint.or_none else decode
    # `X | None` of a Literal with a name of its own is one of typing's.
    if isinstance(hint, types.UnionType) or str(getattr(hint, "__origin__", "")) == "typing.Union":
        (inner,) = (argument for argument in hint.__args__ if argument is not types.NoneType)
        return _optional_decoder(_decoder(inner))
    if isinstance(hint, types.GenericAlias):
        if hint.__origin__ is tuple:
            return _tuple_decoder(_decoder(hint.__args__[0]))
        return _mapping_decoder(_decoder(hint.__args__[1]))
    if issubclass(hint, Record) or hasattr(hint, "__dataclass_fields__"):
        return _record_decoder(hint)
    if issubclass(hint, enum.Enum):
        return _choice_decoder({member.value: member for member in hint})
    return _SCALARS[hint]


def _optional_decoder(decode: Decoder) -> Decoder:
    return lambda value, path: None if value is None else decode(value, path)


def _tuple_decoder(decode: Decoder) -> Decoder:
    def decode_all(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise ShapeError(path, f"expected a list, got {_kind(value)}")
        return tuple(decode(item, f"{path}[{index}]") for index, item in enumerate(value))

    return decode_all


def _mapping_decoder(decode: Decoder) -> Decoder:
    def decode_all(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise ShapeError(path, f"expected an object, got {_kind(value)}")
        return {key: decode(item, f"{path}.{key}") for key, item in value.items()}

    return decode_all


def _choice_decoder(choices: dict[Any, Any]) -> Decoder:
    def decode(value: Any, path: str) -> Any:
        if not isinstance(value, (str, int)) or value not in choices:
            raise ShapeError(path, f"expected one of {', '.join(map(str, choices))}; got {str(value)[:40]!r}")
        return choices[value]

    return decode


def _scalar(kind: type, *, name: str) -> Decoder:
    def decode(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise ShapeError(path, f"expected {name}, got {_kind(value)}")
        return value

    return decode


def check_json(value: Any, path: str) -> Any:
    """Return a parsed JSON value; ShapeError for half characters and numbers that JSON does not have, at any depth:
    Python's parser lets both through, and neither can be stored or sent on."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            _decode_str(each, path)
        elif isinstance(each, float):
            _decode_float(each, path)
        elif isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return value


def _decode_str(value: Any, path: str) -> str:
    if type(value) is not str:
        raise ShapeError(path, f"expected text, got {_kind(value)}")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ShapeError(path, "holds a lone surrogate, which is not text") from None
    return value


def _decode_float(value: Any, path: str) -> float:
    if type(value) not in (int, float) or value != value or value in (float("inf"), float("-inf")):
        raise ShapeError(path, f"expected a finite number, got {_kind(value)}")
    return float(value)


def _decode_bytes(value: Any, path: str) -> bytes:
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except (TypeError, ValueError):
        raise ShapeError(path, "expected base64 text") from None


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


_SCALARS: dict[Any, Decoder] = {
    str: _decode_str,
    int: _scalar(int, name="a whole number"),
    bool: _scalar(bool, name="true or false"),
    float: _decode_float,
    bytes: _decode_bytes,
}
