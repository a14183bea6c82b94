"""The cattrs converter of payloads: strict where cattrs would change a value silently."""

import collections
import dataclasses
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

SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_AS_TEXT: Final = frozenset({UUID, Decimal, datetime, date, time, timedelta, bytes})
_ARRAYS: Final = (list, tuple, set, frozenset, collections.deque)
_ABSTRACT: Final = types.MappingProxyType({abc.Sequence: list, abc.MutableSequence: list, abc.Set: frozenset})
_KEY: Final = object()

Read = Callable[[Any, Any], Any]
to_json = msgspec.json.Encoder().encode
from_json = msgspec.json.Decoder().decode


def default_converter() -> cattrs.Converter:
    """The converter of payloads: cattrs' for JSON, made strict, with hooks for what JSON has no form for."""
    c = make_converter(unstruct_collection_overrides={tuple: list})
    c.register_structure_hook_func(is_untyped, as_is)
    c.register_unstructure_hook_func(is_untyped, lambda v: v if type(v) is object else c.unstructure(v))
    c.register_structure_hook_func(lambda t: t is None or t is type(None), read_none)
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
        raise TypeError(
            f"expected {wanted if isinstance(wanted, str) else type_label(wanted)}, got {type(value).__name__}"
        )


def _guarded(kind: type[Any], words: str, inner: Read, make: Callable[[Any], Any] | None = None) -> Read:
    # cattrs alone makes an all-default instance of [], and takes the letters of a text for a list.
    def read(value: Any, type_: Any) -> Any:
        _expect(type(value) is kind, words, value)
        return inner(value, type_) if make is None else make(inner(value, type_))

    return read


def as_is(value: Any, _: Any) -> Any:
    """A hook that changes nothing."""
    return value


def read_none(value: Any, _: Any) -> None:
    """A hook that takes null alone."""
    _expect(value is None, "null", value)


def _of(origin: Any, *args: Any) -> Any:
    return origin[args]


def is_untyped(t: Any) -> bool:
    """Whether an annotation says nothing, so that plain JSON is meant."""
    return t is Any or t is object or t is Parameter.empty or isinstance(t, TypeVar)


def _scalar_reader(wanted: Any) -> Read:
    kinds = frozenset(get_args(wanted) or [wanted])

    def read(value: Any, type_: Any) -> Any:
        if type(value) not in kinds:
            _expect(type(value) is int and float in kinds, wanted, value)
            value = float(value)
        # A class that derives from str or int is an enum.
        return type_(value) if isinstance(type_, type) and type_ not in kinds else value

    return read


def _is_scalar_union(t: Any) -> bool:
    return get_origin(t) in (Union, types.UnionType) and SCALARS.issuperset(get_args(t))


def _is_ambiguous(t: Any) -> bool:
    if get_origin(t) not in (Union, types.UnionType):
        return False
    kinds = [
        k for m in get_args(t) for k in ({type(e.value) for e in m} if _is_enum(m) else [str if m in _AS_TEXT else m])
    ]
    return len(kinds) != len(set(kinds))


def _refuse_union(t: Any) -> Any:
    raise TypeError(f"the members of {type_label(t)} look the same in JSON: use attrs classes with different fields")


def _add_text(c: cattrs.Converter, kind: type[Any], write: Callable[[Any], str], parse: Callable[[str], Any]) -> None:
    def unstructure(value: Any) -> str:
        # A datetime is a date too, but its time would be lost.
        _expect(isinstance(value, kind) and not (kind is date and isinstance(value, datetime)), kind, value)
        return write(value)

    c.register_unstructure_hook(kind, unstructure)
    c.register_structure_hook(kind, _guarded(str, f"{kind.__name__} as text", as_is, parse))


def _is_enum(t: Any) -> bool:
    return isinstance(t, type) and issubclass(t, Enum) and not issubclass(t, Flag)


def _is_choice(t: Any) -> bool:
    return get_origin(t) is Literal or (_is_enum(t) and "_value_" not in t.__annotations__)


def _choice_reader(t: Any) -> Read:
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


def _object_reader(t: Any, c: cattrs.Converter) -> Read:
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


def _array_reader(t: Any, c: cattrs.Converter) -> Read:
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


def _mapping_reader(t: Any, c: cattrs.Converter) -> Read:
    key, *rest = get_args(t)
    marked = _of(get_origin(t), Annotated[key, _KEY], *rest)
    inner = c.get_structure_hook(marked)
    return _guarded(dict, "a JSON object", lambda value, _: inner(value, marked))


def _key_reader(t: Any, c: cattrs.Converter) -> Read:
    key = t.__origin__
    inner = c.get_structure_hook(key)

    def read(value: Any, _: Any) -> Any:
        try:
            return inner(value, key)
        except Exception as error:  # a number: JSON writes it as text when it is a key
            try:
                return inner(from_json(value), key)
            except msgspec.MsgspecError:
                raise error from None

    return read


def _mapping_writer(t: Any, c: cattrs.Converter) -> Callable[[Any], Any]:
    key, value, *_ = (*get_args(t), Any, Any)
    write_key, write = c.get_unstructure_hook(key), c.get_unstructure_hook(value, cache_result=False)
    marked: Any = Annotated[key, _KEY]
    read = None if is_untyped(key) else lambda text: c.structure(text, marked)
    return lambda v: same_size(
        {k if type(k) is str else key_text(k, write_key, read): write(x) for k, x in v.items()}, v
    )


def key_text(key: Any, write: Callable[[Any], Any], read: Callable[[Any], Any] | None) -> str:
    """JSON text of a dict key; a key that is no text only if `read` restores it from its text."""
    plain = write(key)
    if isinstance(plain, str):
        return str.__str__(plain)
    if read is not None and type(plain) in SCALARS and read(text := to_json(plain).decode()) == key:
        return text
    hint = "use text keys, or annotate the field of an attrs class as dict[int, ...] or the like"
    raise TypeError(f"the dict key {key!r:.100} would come back as text: {hint}")


def same_size(plain: dict[str, Any], value: abc.Mapping[Any, Any]) -> dict[str, Any]:
    """Give `plain` back if no two keys of `value` became one. Raises `ValueError`."""
    if len(plain) != len(value):
        raise ValueError("two dict keys have the same JSON text: use text keys")
    return plain


def type_label(type_: object) -> str:
    """A type in words."""
    return (
        type_.__qualname__ if isinstance(type_, type) and not get_args(type_) else repr(type_).removeprefix("typing.")
    )
