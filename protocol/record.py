"""Record: the frozen, keyword-only noun that everything in `protocol/` and `agents/` is. Pure.

A type checker reads a Record as a frozen, slotted, keyword-only dataclass, and it behaves as one. It is our own because
of what dataclasses cost where each start counts: the decorator compiles source for every class and imports `inspect`,
together 25 of the 42 ms CPU that an agent's imports took (Python 3.11); a Record costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
"""Type checkers take it for true, by its name; importing it from `typing` would cost what this file saves."""
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T", bound="Record")
else:

    def dataclass_transform(**_):
        return lambda made: made


class FrozenRecord(AttributeError):
    """A record was to be changed; make another with `replace`."""


@dataclass_transform(eq_default=True, kw_only_default=True, frozen_default=True)
class RecordType(type):
    """Makes a class of the annotated names in its body: slots, and their defaults. A noun has no sub-nouns."""

    record_fields: tuple[tuple[str, Callable[[object, object], None]], ...]
    """Each field's name and what sets it, in order."""
    record_defaults: dict[str, object]

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> RecordType:
        names = tuple(body.setdefault("__annotations__", {}))  # else one without fields would have ours, above
        defaults = {field: body.pop(field) for field in names if field in body}
        made = super().__new__(mcs, name, bases, {**body, "__slots__": names})
        made.record_fields = tuple((field, getattr(made, field).__set__) for field in names)
        made.record_defaults = defaults
        return made


class _DataclassFields:
    """Lets `dataclasses.replace`, `fields` and `asdict` take a record: made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[RecordType, dict[str, Any]] = {}

    def __get__(self, record: object, made: RecordType) -> dict[str, Any]:
        fields = self._made.get(made)
        if fields is None:
            import dataclasses

            named = [(name, object) for name, _ in made.record_fields]
            twin = dataclasses.make_dataclass(made.__name__, named)
            fields = self._made[made] = vars(twin)["__dataclass_fields__"]  # what `dataclasses` itself reads
        return fields


class Record(metaclass=RecordType):
    """The base of every noun: a body of annotated names, some with a default."""

    __dataclass_fields__ = _DataclassFields()

    def __init__(self, **values: Any) -> None:
        made = type(self)
        for name, put in made.record_fields:
            if name in values:
                put(self, values.pop(name))
            elif name in made.record_defaults:
                put(self, made.record_defaults[name])
            else:
                raise TypeError(f"{made.__name__} needs {name}")
        if values:
            raise TypeError(f"{made.__name__} has no {', '.join(values)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenRecord(f"{type(self).__name__}.{name} is frozen")

    def __delattr__(self, name: str) -> None:
        raise FrozenRecord(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), _values(self)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, _ in type(self).record_fields)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), {name: getattr(self, name) for name, _ in type(self).record_fields})


def replace(record: T, **changes: Any) -> T:
    """Return a record like this one but for the fields given; raise TypeError for a name that is none."""
    kept = {name: getattr(record, name) for name, _ in type(record).record_fields}
    return type(record)(**{**kept, **changes})


def _values(record: Any) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name, _ in type(record).record_fields)


def _restore(made: Any, values: dict[str, Any]) -> Any:
    return made(**values)
