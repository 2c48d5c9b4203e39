"""Wire types in a form that people read and edit: names for fields, hex for bytes, words for enums.

Wire types are arrays in field order, so a TOML or JSON table cannot be read into one directly. This is
the one bridge, and it is strict: an unknown, missing or wrong field is an error that says where.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

import msgspec

from node.claims.wire import Wire, encode

T = TypeVar("T")


class BadValue(ValueError):
    """A value in a genesis or plan file is wrong. `path` is such as "plans[0].calendar.cycle_days"."""

    def __init__(self, path: str, message: str, *, quiet: str = "") -> None:
        """`quiet`: the whole text without what was given, where the message repeats any of it."""
        text = f"{path}: {message}" if path else message
        super().__init__(text)
        self.path, self.message, self.quiet = path, message, quiet or text


def to_plain(value: object) -> Any:
    """Dicts, lists, strings, ints and bools, ready for JSON. Fields keep their order."""
    if isinstance(value, Wire):
        return {name: to_plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value


def from_plain(kind: type[T], data: object, path: str = "") -> T:
    """The `kind` that `data` describes, checked against every limit of its fields. Raises BadValue."""
    value = _read(kind, data, path)
    try:
        return msgspec.msgpack.decode(encode(value), type=kind)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
        raise BadValue(path, str(error)) from None


def _read(kind: Any, data: object, path: str) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        return _limited(kind, _read(get_args(kind)[0], data, path), path)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            _wrong(path, "a list", data)
        item = get_args(kind)[0]
        return tuple(_read(item, element, f"{path}[{index}]") for index, element in enumerate(data))
    if origin in (Union, UnionType):
        raise BadValue(path, "this field has no readable form")
    if isinstance(kind, type) and issubclass(kind, Wire):
        return _read_struct(kind, data, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            words = ", ".join(str(member.value) for member in kind)
            raise BadValue(path, f"{data!r} is none of: {words}", quiet=f"{path}: one of {words} is needed") from None
    if kind is bytes:
        try:
            return bytes.fromhex(data) if isinstance(data, str) else _wrong(path, "hex digits", data)
        except ValueError:
            raise BadValue(path, "hex digits are needed") from None
    if type(data) is not kind:
        _wrong(path, getattr(kind, "__name__", str(kind)), data)
    return data


def _read_struct(kind: type[Wire], data: object, path: str) -> Wire:
    if not isinstance(data, dict):
        _wrong(path, "a table", data)
    prefix = f"{path}." if path else ""
    for name in data:
        if name not in kind.__struct_fields__:
            known = ", ".join(kind.__struct_fields__)
            quiet = f"{path or 'the table'}: a key is unknown; known are {known}"
            raise BadValue(f"{prefix}{name}", f"unknown key; known are {known}", quiet=quiet)
    values: dict[str, Any] = {}
    for field in _fields(kind):
        if field.name in data:
            values[field.name] = _read(field.type, data[field.name], f"{prefix}{field.name}")
        elif field.required:
            raise BadValue(f"{prefix}{field.name}", "this key is missing")
    return kind(**values)


@cache
def _fields(kind: type[Wire]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Of one type, of which a file has many values: finding out costs more than reading one."""
    return msgspec.structs.fields(kind)


def _limited(kind: Any, value: object, path: str) -> object:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadValue(path, str(error)) from None


def _wrong(path: str, wanted: str, data: object) -> NoReturn:
    raise BadValue(path, f"{wanted} is needed, not {_name(data)}", quiet=f"{path}: {wanted} is needed")


def _name(data: object) -> str:
    return f"{type(data).__name__} {str(data)[:40]!r}"
