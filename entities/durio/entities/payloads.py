"""User values as JSON bytes and back: plain JSON directly, everything else by its annotations through cattrs."""

from __future__ import annotations

import copy
import math
import sys
from collections import abc
from collections.abc import Iterator
from typing import Any, TypeVar

import cattrs
import msgspec

from durio.entities.blobs import MARK, Vault, utf8_size
from durio.entities.converters import (
    Read,
    as_is,
    default_converter,
    from_json,
    is_untyped,
    key_text,
    read_none,
    same_size,
    to_json,
    type_label,
)
from durio.entities.errors import DurioError
from durio.entities.failures import storable
from durio.entities.limits import BLOB_BYTES_MIN, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX
from durio.storage import StorageError

M = TypeVar("M", bound=msgspec.Struct)


class PayloadError(DurioError):
    """A value is no payload, or bytes are no value of the wanted type; nothing was changed.

    `what` names the value ("result of activity 'f1'"), `type_name` its type or the wanted type, `why` the reason,
    with the path inside the value and what to do. All three are plain text that can itself be stored.
    """

    def __init__(self, what: str, type_name: str, why: str) -> None:
        # A lone surrogate in the refused value must not make its error unstorable too.
        self.what, self.type_name, self.why = storable(what), storable(type_name), storable(why)
        super().__init__(self.what, self.type_name, self.why)

    def __str__(self) -> str:
        return f"{self.what} ({self.type_name}): {self.why}"


class PayloadTooLarge(PayloadError):
    """A value is larger, encoded, than payloads may be; nothing was changed. Trying again does not help.

    The developer must act: store it elsewhere and pass a reference, or open the hub with a larger
    `payload_bytes_max`. `what` names the value, `size` and `limit` are bytes.
    """

    non_retriable = True

    def __init__(self, what: str, type_name: str, size: int, limit: int) -> None:
        super().__init__(what, type_name, f"{size:,} bytes, at most {limit:,} are allowed")
        self.args = (self.what, self.type_name, size, limit)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        instead = "store it elsewhere and pass a reference, or open the hub with a larger payload_bytes_max"
        return f"{super().__str__()}: {instead}"


class Payloads:
    """Encodes user values as JSON and decodes them by annotation.

    A `converter` replaces the built-in one: it is copied and used as it is, without the strictness of the built-in
    one. `bytes_max` bounds what is encoded, not what is decoded.
    """

    vault: Vault | None = None
    """Where large ones go; without it all are bytes of JSON."""

    def __init__(self, converter: cattrs.Converter | None = None, bytes_max: int = PAYLOAD_BYTES_MAX) -> None:
        self._own = converter is None
        self._converter = default_converter() if converter is None else converter.copy()
        self._bytes_max = bytes_max
        self._blob_bytes_min = sys.maxsize
        self._reads: dict[object, Read] = {}

    def of_hub(
        self, vault: Vault, *, bytes_max: int = PAYLOAD_BYTES_MAX, blob_bytes_min: int = BLOB_BYTES_MIN
    ) -> Payloads:
        """The same for one hub, with its limit, and its vault for what is longer than `blob_bytes_min`."""
        twin = copy.copy(self)
        twin.vault, twin._bytes_max, twin._blob_bytes_min = vault, bytes_max, blob_bytes_min
        return twin

    def encode(self, value: object, what: str = "value") -> bytes:
        """JSON of `value` in UTF-8, or a reference to a large one.

        Raises `PayloadError` if it has no JSON form that decodes again, `PayloadTooLarge` if it is too large.
        """
        try:
            kind = type(value)
            if kind is str and isinstance(value, str) and len(value) > self._blob_bytes_min:
                return self._keep(value, utf8_size(value), 2, what)
            data = to_json(value) if kind is str or kind is int or kind is bool else self._encode(value)
        except (MemoryError, PayloadTooLarge):
            raise
        except Exception as error:  # the user's own hooks and properties run in here
            raise _refusal(what, type(value), error) from error
        if len(data) > self._bytes_max or len(data) > self._blob_bytes_min:
            return self._keep(data, len(data), 0, what, type(value))
        return data

    def decode(self, data: bytes, type_: object = Any, what: str = "value") -> Any:
        """The value in `data` as a `type_` (`Any`: plain JSON values); `PayloadError` if it is none."""
        try:
            value = from_json(data) if data[:1] != MARK else self._look_up(data)
            if type_ is Any:
                return value
            try:
                read = self._reads[type_]
            except (KeyError, TypeError):
                read = self._find(type_)
            return read(value, type_)
        except (MemoryError, StorageError):
            raise
        except Exception as error:  # the user's own hooks, validators and constructors run in here
            raise _refusal(what, type_, error) from error

    def adopt(self, message: M) -> M:
        """A message whose payloads another process encoded, all in one: large ones go into the vault.

        Raises `PayloadTooLarge`, and `PayloadError` for a reference: only the hub itself makes them.
        """
        changed: dict[str, object] = {}
        for name in message.__struct_fields__:
            value = getattr(message, name)
            if isinstance(value, bytes):
                changed[name] = self._adopted(value, name)
            elif name == "events":
                changed[name] = tuple((event, self._adopted(data, f"event {event!r}")) for event, data in value)
        return msgspec.structs.replace(message, **changed) if changed else message

    def _adopted(self, data: bytes, what: str) -> bytes:
        if data[:1] == MARK:
            raise PayloadError(what, "bytes", "it is a reference and no value: send the value itself")
        if len(data) > self._bytes_max or len(data) > self._blob_bytes_min:
            return self._keep(data, len(data), 0, what, bytes)
        return data

    def loading(self, payload: bytes | None) -> Iterator[None]:
        """Bring a payload into memory, so that `decode` need not; gives way every megabyte. Raises `CorruptRecord`."""
        if self.vault is not None:
            yield from self.vault.loading(payload)

    def same(self, one: bytes | None, other: bytes | None) -> bool:
        """Whether two payloads are equal; large ones that are not in memory count as different."""
        return one == other if self.vault is None else self.vault.same(one, other)

    def ready(self, *payloads: bytes | None) -> bool:
        """Whether payloads are in memory; False: ask again after others had their turn (G8)."""
        return self.vault is None or self.vault.ready(payloads)

    def _keep(self, value: str | bytes, size: int, quotes: int, what: str, type_: type = str) -> bytes:
        if size + quotes > self._bytes_max:
            raise PayloadTooLarge(what, type_label(type_), size + quotes, self._bytes_max)
        assert self.vault is not None, "of_hub sets both"
        return self.vault.keep(value, size)

    def _look_up(self, reference: bytes) -> Any:
        if self.vault is None:
            raise LookupError("it lies apart from its record: decode it with the payloads of its hub")
        value = self.vault.value(reference)
        return value if isinstance(value, str) else from_json(value)

    def _find(self, type_: Any) -> Read:
        if isinstance(type_, str):
            raise TypeError(f"the annotation is the text {type_!r}: resolve it with typing.get_type_hints first")
        if type_ is None or type_ is type(None):
            read: Read = read_none
        else:
            read = as_is if is_untyped(type_) else self._converter.get_structure_hook(type_)
        if isinstance(type_, abc.Hashable):
            self._reads[type_] = read
        return read

    def _encode(self, value: Any) -> bytes:
        if self._own and value is not None and type(value) is not float:
            plain = value if type(value) is list or type(value) is dict else self._converter.unstructure(value)
            if (data := _proved(plain)) is not None:
                return data
        return to_json(self._plain(value, 0, False))

    def _plain(self, value: Any, depth: int, converted: bool) -> Any:
        """`value` made of JSON values only; what has no JSON form is an error. Below `converted` cattrs ran."""
        kind = type(value)
        if value is None or kind is str or kind is int or kind is bool:
            return value
        if kind is float:
            if not math.isfinite(value):
                raise ValueError(f"JSON has no {value}: use None or text")
            return value
        if depth >= PAYLOAD_DEPTH_MAX:
            raise ValueError(f"nested more than {PAYLOAD_DEPTH_MAX} levels deep, or contains itself: make it flat")
        if kind is list or kind is tuple or kind is set or kind is frozenset:
            return [self._plain(v, depth + 1, converted) for v in value]
        if kind is dict:
            # A converter of the user may rely on the JSON library to write its number keys.
            loose = from_json if converted and not self._own else None
            write = self._converter.unstructure
            items = ((k if type(k) is str else key_text(k, write, loose), v) for k, v in value.items())
            return same_size({k: self._plain(v, depth + 1, converted) for k, v in items}, value)
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
        raise TypeError(f"{type_label(type(value))} has no JSON form: {hint}")


def _proved(plain: object) -> bytes | None:
    """JSON of `plain` if it reads back equal, so has text keys and finite numbers only. None: look closer."""
    # msgspec writes nan as null and the key 1 as "1"; reading back is far cheaper than a look at every value in Python.
    try:
        data = to_json(plain)
        again = from_json(data)
        if again != plain:
            return None
    except Exception:  # the closer look finds the words
        return None
    return None if data.count(b"[") + data.count(b"{") > PAYLOAD_DEPTH_MAX and _is_deep(again) else data


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level and depth <= PAYLOAD_DEPTH_MAX:
        inner = (v for c in level for v in (c.values() if type(c) is dict else c))
        level, depth = [v for v in inner if type(v) is list or type(v) is dict], depth + 1
    return depth > PAYLOAD_DEPTH_MAX


def _refusal(what: str, type_: object, error: Exception) -> PayloadError:
    try:
        lines = cattrs.transform_error(error, format_exception=_explain)
        why = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
    except RecursionError as deep:
        why = _explain(deep, None)
    return PayloadError(what, type_label(type_), why.removesuffix(" @ $"))


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
