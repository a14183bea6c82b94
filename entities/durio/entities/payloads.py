"""User values as JSON bytes and back: plain JSON directly, everything else by its annotations through cattrs."""

import collections
import dataclasses
import math
import types
from collections import abc
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from inspect import Parameter
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

import attrs
import cattrs
import msgspec
from cattrs.cols import list_structure_factory
from cattrs.gen import make_hetero_tuple_unstructure_fn
from cattrs.preconf.json import make_converter

__all__ = ["DEPTH_MAX", "PayloadError", "Payloads"]

DEPTH_MAX: Final = 200
"""Deepest nesting that is encoded: what was encoded on a short call stack must decode on a long one."""

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_AS_TEXT: Final = frozenset({UUID, Decimal, datetime, date, time, timedelta, bytes})
_ARRAYS: Final = (list, tuple, set, frozenset, collections.deque)
_ABSTRACT: Final = types.MappingProxyType({abc.Sequence: list, abc.MutableSequence: list, abc.Set: frozenset})
_KEY: Final = object()

_Read = Callable[[Any, Any], Any]
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


class PayloadError(Exception):
    """A value is no payload, or bytes are no value of the wanted type; nothing was changed.

    ``what`` names the value ("result of activity 'f1'"), ``type_name`` its type or the wanted type, ``why`` the reason,
    with the path inside the value and what to do. All three are plain text that can itself be stored.
    """

    def __init__(self, what: str, type_name: str, why: str) -> None:
        # A lone surrogate in the refused value must not make its error unstorable too.
        texts = (text.encode("utf-8", "backslashreplace").decode() for text in (what, type_name, why))
        self.what, self.type_name, self.why = texts
        super().__init__(self.what, self.type_name, self.why)

    def __str__(self) -> str:
        return f"{self.what} ({self.type_name}): {self.why}"


class Payloads:
    """Encodes user values as JSON and decodes them by annotation.

    A ``converter`` replaces the built-in one: it is copied and used as it is, without the strictness of the built-in
    one. ``bytes_max`` bounds what is encoded, not what is decoded.
    """

    def __init__(self, converter: cattrs.Converter | None = None, bytes_max: int = 16 * 1024 * 1024) -> None:
        self._own = converter is None
        self._converter = _default_converter() if converter is None else converter.copy()
        self._bytes_max = bytes_max
        self._reads: dict[object, _Read] = {}

    def encode(self, value: object, what: str = "value") -> bytes:
        """JSON of ``value`` in UTF-8; `PayloadError` if it has no JSON form that decodes again, or is too large."""
        try:
            kind = type(value)
            data = _to_json(value) if kind is str or kind is int or kind is bool else self._encode(value)
        except MemoryError:
            raise
        except Exception as error:  # the user's own hooks and properties run in here
            raise _refusal(what, type(value), error) from error
        if len(data) > self._bytes_max:
            why = f"{len(data)} bytes of JSON, the limit is {self._bytes_max}: store it elsewhere and pass a reference"
            raise PayloadError(what, _name(type(value)), why)
        return data

    def decode(self, data: bytes, type_: object = Any, what: str = "value") -> Any:
        """The value in ``data`` as a ``type_`` (`Any`: plain JSON values); `PayloadError` if it is none."""
        try:
            value = _from_json(data)
            if type_ is Any:
                return value
            try:
                read = self._reads[type_]
            except (KeyError, TypeError):
                read = self._find(type_)
            return read(value, type_)
        except MemoryError:
            raise
        except Exception as error:  # the user's own hooks, validators and constructors run in here
            raise _refusal(what, type_, error) from error

    def _find(self, type_: Any) -> _Read:
        if isinstance(type_, str):
            raise TypeError(f"the annotation is the text {type_!r}: resolve it with typing.get_type_hints first")
        if type_ is None or type_ is type(None):
            read: _Read = _read_none
        else:
            read = _as_is if _is_untyped(type_) else self._converter.get_structure_hook(type_)
        if isinstance(type_, abc.Hashable):
            self._reads[type_] = read
        return read

    def _encode(self, value: Any) -> bytes:
        if self._own and value is not None and type(value) is not float:
            plain = value if type(value) is list or type(value) is dict else self._converter.unstructure(value)
            if (data := _proved(plain)) is not None:
                return data
        return _to_json(self._plain(value, 0, False))

    def _plain(self, value: Any, depth: int, converted: bool) -> Any:
        """``value`` made of JSON values only; what has no JSON form is an error. Below ``converted`` cattrs ran."""
        kind = type(value)
        if value is None or kind is str or kind is int or kind is bool:
            return value
        if kind is float:
            if not math.isfinite(value):
                raise ValueError(f"JSON has no {value}: use None or text")
            return value
        if depth >= DEPTH_MAX:
            raise ValueError(f"nested more than {DEPTH_MAX} levels deep, or contains itself: make it flat")
        if kind is list or kind is tuple or kind is set or kind is frozenset:
            return [self._plain(v, depth + 1, converted) for v in value]
        if kind is dict:
            # A converter of the user may rely on the JSON library to write its number keys.
            loose = _from_json if converted and not self._own else None
            write = self._converter.unstructure
            items = ((k if type(k) is str else _key_text(k, write, loose), v) for k, v in value.items())
            return _same_size({k: self._plain(v, depth + 1, converted) for k, v in items}, value)
        out = self._converter.unstructure(value)
        return self._plain(self._leaf(value) if out is value else out, depth + 1, True)

    def _leaf(self, value: Any) -> Any:
        """The JSON form of a value that the converter leaves to the JSON library, as the preconf ones of cattrs do."""
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int | float):
            return int(value) if isinstance(value, int) else float(value)
        if not self._own:
            leaf = msgspec.to_builtins(value)
            if self._converter.structure(leaf, type(value)) == value:
                return leaf
        hint = "use JSON values, attrs classes or dataclasses, or register a hook for it on the converter"
        raise TypeError(f"{_name(type(value))} has no JSON form: {hint}")


def _proved(plain: object) -> bytes | None:
    """JSON of ``plain`` if it reads back equal, so has text keys and finite numbers only. None: look closer."""
    # msgspec writes nan as null and the key 1 as "1"; reading back is far cheaper than a look at every value in Python.
    try:
        data = _to_json(plain)
        again = _from_json(data)
        if again != plain:
            return None
    except Exception:  # the closer look finds the words
        return None
    return None if data.count(b"[") + data.count(b"{") > DEPTH_MAX and _is_deep(again) else data


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level and depth <= DEPTH_MAX:
        inner = (v for c in level for v in (c.values() if type(c) is dict else c))
        level, depth = [v for v in inner if type(v) is list or type(v) is dict], depth + 1
    return depth > DEPTH_MAX


def _key_text(key: Any, write: Callable[[Any], Any], read: Callable[[Any], Any] | None) -> str:
    """JSON text of a dict key; a key that is no text only if ``read`` restores it from its text."""
    plain = write(key)
    if isinstance(plain, str):
        return str.__str__(plain)
    if read is not None and type(plain) in _SCALARS and read(text := _to_json(plain).decode()) == key:
        return text
    hint = "use text keys, or annotate the field of an attrs class as dict[int, ...] or the like"
    raise TypeError(f"the dict key {key!r:.100} would come back as text: {hint}")


def _same_size(plain: dict[str, Any], value: abc.Mapping[Any, Any]) -> dict[str, Any]:
    if len(plain) != len(value):
        raise ValueError("two dict keys have the same JSON text: use text keys")
    return plain


def _refusal(what: str, type_: object, error: Exception) -> PayloadError:
    try:
        lines = cattrs.transform_error(error, format_exception=_explain)
        why = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
    except RecursionError as deep:
        why = _explain(deep, None)
    return PayloadError(what, _name(type_), why.removesuffix(" @ $"))


def _explain(error: BaseException, _: object) -> str:
    match error:
        case KeyError():
            return f"the required field {error} is missing"
        case NameError():
            return f"an annotation cannot be resolved ({error}): define the name in its module"
        case RecursionError():
            return "nested too deeply: make it flat"
        case cattrs.StructureHandlerNotFoundError():
            return f"{error} Or annotate a supported type."
        case msgspec.DecodeError():
            return f"not valid JSON: {error}"
    return str(error) or type(error).__name__


def _name(type_: object) -> str:
    return (
        type_.__qualname__ if isinstance(type_, type) and not get_args(type_) else repr(type_).removeprefix("typing.")
    )


def _default_converter() -> cattrs.Converter:
    c = make_converter(unstruct_collection_overrides={tuple: list})
    c.register_structure_hook_func(_is_untyped, _as_is)
    c.register_unstructure_hook_func(_is_untyped, lambda v: v if type(v) is object else c.unstructure(v))
    c.register_structure_hook_func(lambda t: t is None or t is type(None), _read_none)
    for kind in (str, int, bool, float):
        c.register_structure_hook(kind, _scalar_reader(kind))
    _add_text(c, UUID, UUID.__str__, UUID)
    _add_text(c, Decimal, Decimal.__str__, Decimal)
    _add_text(c, datetime, datetime.isoformat, datetime.fromisoformat)
    _add_text(c, date, date.isoformat, date.fromisoformat)
    _add_text(c, time, time.isoformat, time.fromisoformat)
    _add_text(c, timedelta, msgspec.to_builtins, lambda text: msgspec.convert(text, timedelta))
    c.register_structure_hook_factory(_is_object, _object_reader)
    c.register_structure_hook_factory(_is_array, _array_reader)
    c.register_unstructure_hook_factory(_is_namedtuple, _namedtuple_writer)
    c.register_structure_hook_factory(_has_typed_keys, _mapping_reader)
    c.register_structure_hook_factory(lambda t: _KEY in getattr(t, "__metadata__", ()), _key_reader)
    c.register_unstructure_hook_factory(_is_mapping, _mapping_writer)
    c.register_structure_hook_factory(_is_choice, _choice_reader)
    c.register_structure_hook_factory(_is_scalar_union, _scalar_reader)
    c.register_structure_hook_factory(_is_ambiguous, _refuse_union)
    c.register_unstructure_hook_factory(_is_ambiguous, _refuse_union)
    return c


def _expect(fits: bool, wanted: Any, value: object) -> None:
    if not fits:
        raise TypeError(f"expected {wanted if isinstance(wanted, str) else _name(wanted)}, got {type(value).__name__}")


def _guarded(kind: type[Any], words: str, inner: _Read, make: Callable[[Any], Any] | None = None) -> _Read:
    # cattrs alone makes an all-default instance of [], and takes the letters of a text for a list.
    def read(value: Any, type_: Any) -> Any:
        _expect(type(value) is kind, words, value)
        return inner(value, type_) if make is None else make(inner(value, type_))

    return read


def _as_is(value: Any, _: Any) -> Any:
    return value


def _read_none(value: Any, _: Any) -> None:
    _expect(value is None, "null", value)


def _of(origin: Any, *args: Any) -> Any:
    return origin[args]


def _is_untyped(t: Any) -> bool:
    return t is Any or t is object or t is Parameter.empty or isinstance(t, TypeVar)


def _scalar_reader(wanted: Any) -> _Read:
    kinds = frozenset(get_args(wanted) or [wanted])

    def read(value: Any, type_: Any) -> Any:
        if type(value) not in kinds:
            _expect(type(value) is int and float in kinds, wanted, value)
            value = float(value)
        # A class that derives from str or int is an enum.
        return type_(value) if isinstance(type_, type) and type_ not in kinds else value

    return read


def _is_scalar_union(t: Any) -> bool:
    return get_origin(t) in (Union, types.UnionType) and _SCALARS.issuperset(get_args(t))


def _is_ambiguous(t: Any) -> bool:
    if get_origin(t) not in (Union, types.UnionType):
        return False
    kinds = [
        k for m in get_args(t) for k in ({type(e.value) for e in m} if _is_enum(m) else [str if m in _AS_TEXT else m])
    ]
    return len(kinds) != len(set(kinds))


def _refuse_union(t: Any) -> Any:
    raise TypeError(f"the members of {_name(t)} look the same in JSON: use attrs classes with different fields")


def _add_text(c: cattrs.Converter, kind: type[Any], write: Callable[[Any], str], parse: Callable[[str], Any]) -> None:
    def unstructure(value: Any) -> str:
        # A datetime is a date too, but its time would be lost.
        _expect(isinstance(value, kind) and not (kind is date and isinstance(value, datetime)), kind, value)
        return write(value)

    c.register_unstructure_hook(kind, unstructure)
    c.register_structure_hook(kind, _guarded(str, f"{kind.__name__} as text", _as_is, parse))


def _is_enum(t: Any) -> bool:
    return isinstance(t, type) and issubclass(t, Enum) and not issubclass(t, Flag)


def _is_choice(t: Any) -> bool:
    return get_origin(t) is Literal or (_is_enum(t) and "_value_" not in t.__annotations__)


def _choice_reader(t: Any) -> _Read:
    options = list(t) if _is_enum(t) else get_args(t)
    table = {(type(v), v): o for o in options for v in [o.value if isinstance(o, Enum) else o]}

    def read(value: Any, _: Any) -> Any:
        found = table.get((type(value), value), _KEY)
        if found is not _KEY:
            return found
        _expect(_is_enum(t) and type(value) is str, f"one of {[v for _, v in table]}"[:500], value)
        return t(value)  # the enum may know old spellings

    return read


def _is_object(t: Any) -> bool:
    origin = get_origin(t) or t
    return attrs.has(origin) or dataclasses.is_dataclass(origin) or is_typeddict(origin)


def _object_reader(t: Any, c: cattrs.Converter) -> _Read:
    make = c.gen_structure_typeddict if is_typeddict(get_origin(t) or t) else c.gen_structure_attrs_fromdict
    return _guarded(dict, "a JSON object", make(t))


def _is_namedtuple(t: Any) -> bool:
    return isinstance(t, type) and issubclass(t, tuple) and hasattr(t, "_fields")


def _is_array(t: Any) -> bool:
    return (get_origin(t) or t) in (*_ARRAYS, *_ABSTRACT) or _is_namedtuple(t)


def _fields_of(t: Any) -> tuple[Any, ...]:
    hints = get_type_hints(t, include_extras=True)  # cattrs alone does not resolve those of a NamedTuple
    return tuple(hints.get(name, Any) for name in t._fields)


def _namedtuple_writer(t: Any, c: cattrs.Converter) -> Callable[[Any], Any]:
    return make_hetero_tuple_unstructure_fn(t, c, unstructure_to=list, type_args=_fields_of(t))


def _array_reader(t: Any, c: cattrs.Converter) -> _Read:
    origin, args = get_origin(t) or t, get_args(t)
    if _is_namedtuple(t):
        make, inner = t._make, c.gen_structure_hetero_tuple(_of(tuple, *_fields_of(t)))
    elif origin is tuple and args and args[-1] is not ...:
        make, inner = tuple, c.gen_structure_hetero_tuple(t)
    else:
        make, inner = _ABSTRACT.get(origin, origin), list_structure_factory(_of(list, *args[:1] or [Any]), c)
    return _guarded(list, "a JSON array", inner, make)


def _is_mapping(t: Any) -> bool:
    origin = get_origin(t) or t
    return isinstance(origin, type) and issubclass(origin, abc.Mapping) and not is_typeddict(origin)


def _has_typed_keys(t: Any) -> bool:
    return _is_mapping(t) and bool(args := get_args(t)) and _KEY not in getattr(args[0], "__metadata__", ())


def _mapping_reader(t: Any, c: cattrs.Converter) -> _Read:
    key, *rest = get_args(t)
    marked = _of(get_origin(t), Annotated[key, _KEY], *rest)
    inner = c.get_structure_hook(marked)
    return _guarded(dict, "a JSON object", lambda value, _: inner(value, marked))


def _key_reader(t: Any, c: cattrs.Converter) -> _Read:
    key = t.__origin__
    inner = c.get_structure_hook(key)

    def read(value: Any, _: Any) -> Any:
        try:
            return inner(value, key)
        except Exception as error:  # a number: JSON writes it as text when it is a key
            try:
                return inner(_from_json(value), key)
            except msgspec.MsgspecError:
                raise error from None

    return read


def _mapping_writer(t: Any, c: cattrs.Converter) -> Callable[[Any], Any]:
    key, value, *_ = (*get_args(t), Any, Any)
    write_key, write = c.get_unstructure_hook(key), c.get_unstructure_hook(value, cache_result=False)
    marked: Any = Annotated[key, _KEY]
    read = None if _is_untyped(key) else lambda text: c.structure(text, marked)
    return lambda v: _same_size(
        {k if type(k) is str else _key_text(k, write_key, read): write(x) for k, x in v.items()}, v
    )
