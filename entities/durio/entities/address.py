"""Addresses: who an actor is. An entity is `@name@key`, everything else is an orchestration instance id."""

from __future__ import annotations

import re
from typing import Final

import attrs

from durio.entities.errors import InvalidAddress
from durio.entities.limits import ADDRESS_BYTES_MAX

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_entity_id(entity_id: object) -> EntityId:
    """Give an `EntityId` back. Raises `TypeError` for anything else."""
    if not isinstance(entity_id, EntityId):
        raise TypeError(f"an entity is named by an EntityId(name, key), not {entity_id!r}")
    return entity_id


def is_entity(address: str) -> bool:
    """Whether `address` names an entity."""
    return address.startswith("@")


def check_instance_id(instance_id: object) -> str:
    """Give `instance_id` back if it can be one; raise `InvalidAddress` that says why not (G31)."""
    if not isinstance(instance_id, str):
        raise InvalidAddress(repr(instance_id), "an instance id is a str")
    if instance_id.startswith("@"):
        raise InvalidAddress(instance_id, "it starts with '@', which is kept for entities")
    _check_text(instance_id, instance_id)
    return instance_id


def check_text(text: object, what: str) -> str:
    """Give `text` back if it can be stored. Raises `TypeError` for no str, `ValueError` for lone surrogates."""
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, not {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} {text!r} holds lone surrogates, which UTF-8 cannot store") from None
    return text


def operation_name(operation: object) -> str:
    """The name of an operation, given as text or as a method. Raises `TypeError` and `ValueError`."""
    return check_text(
        operation if isinstance(operation, str) else getattr(operation, "__name__", operation), "operation"
    )


def _lowered(name: str) -> str:
    return name.lower() if isinstance(name, str) else name


def _check_text(text: str, shown: str) -> None:
    if not text:
        raise InvalidAddress(shown, "it is empty")
    if _CONTROL.search(text):
        raise InvalidAddress(shown, "it holds control characters")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidAddress(shown, "it holds lone surrogates, which UTF-8 cannot store") from None
    if size > ADDRESS_BYTES_MAX:
        raise InvalidAddress(shown, f"it is {size} bytes long, the limit is {ADDRESS_BYTES_MAX}")


@attrs.frozen(order=True, repr=False)
class EntityId:
    """The name and key of an entity. Names compare lower-cased, keys as they are (Azure's `EntityId`).

    Raises `InvalidAddress` (a `ValueError`) for an empty name or key, an `@` in the name, control characters, or
    more than 256 bytes in all.
    """

    name: str = attrs.field(converter=_lowered)
    key: str = attrs.field()
    _address: str = attrs.field(init=False, eq=False, order=False, repr=False)

    def __attrs_post_init__(self) -> None:
        shown = f"@{self.name}@{self.key}"
        if not isinstance(self.name, str) or not isinstance(self.key, str):
            raise InvalidAddress(shown, "the name and the key of an entity are str")
        if not self.name or "@" in self.name:
            raise InvalidAddress(shown, "the name of an entity must not be empty and holds no '@'")
        if not self.key:
            raise InvalidAddress(shown, "the key of an entity must not be empty")
        _check_text(shown, shown)
        object.__setattr__(self, "_address", shown)

    @classmethod
    def parse(cls, address: str) -> EntityId:
        """The entity that `@name@key` names."""
        at, _, rest = address.partition("@")
        name, separator, key = rest.partition("@")
        if at or not separator:
            raise InvalidAddress(address, "an entity is written @name@key")
        return cls(name, key)

    def __str__(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"EntityId({self.name!r}, {self.key!r})"
