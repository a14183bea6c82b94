"""HubDoorman: looks at what clients in other processes ask before the kernel takes it in."""

from __future__ import annotations

from typing import Any

import msgspec

from durio.entities import EntityId, HubCommand, Message, Operation, Payloads, StartInstance, View, is_entity
from durio.orchestration.errors import InstanceNotFound
from durio.orchestration.instance import Decoders, load
from durio.orchestration.messages import message_decoder
from durio.orchestration.records import Snapshot
from durio.orchestration.registry import Registry


class HubDoorman:
    """Knows the app of the owner.

    Guarantees: names that are not registered are refused at the door, as an in-process client refuses them at the call
    (G31); a client without an app gets the version that is the default when its start is taken in.
    """

    def __init__(self, registry: Registry, payloads: Payloads) -> None:
        self._registry = registry
        self._payloads = payloads
        self._operations = msgspec.msgpack.Decoder(Operation)
        self._instances = message_decoder()
        self._commands = msgspec.msgpack.Decoder(HubCommand)
        self._decoders = Decoders()

    def admit(self, address: str, data: bytes, open_names: bool) -> Message:
        """The message for `address`.

        Raises `NotRegistered`, `PayloadTooLarge`, and `ValueError` for bytes that are no message.
        """
        try:
            message = self._payloads.adopt(self._decode(address, data))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"the message of another process cannot be read: {error}") from error
        if isinstance(message, Operation):
            self._registry.entities.get(EntityId.parse(address).name)
        elif isinstance(message, StartInstance):
            if open_names:
                found = self._registry.orchestration(message.name, message.version)
                return msgspec.structs.replace(message, version=found.version)
            if self._registry.exact_orchestration(message.name, message.version) is None:
                raise self._registry.missing_orchestration(message.name, message.version)
        return message

    def life(self, view: View, address: str) -> tuple[str, Any]:
        """The life at `address`, and what it was at its end if it is over, else None. Raises `InstanceNotFound`."""
        instance = load(view, address, self._decoders)
        if instance.head is None or instance.origin is None:
            raise InstanceNotFound(address)
        over = not instance.alive
        return instance.head.life, Snapshot(instance.head, instance.origin, instance.outcome) if over else None

    def _decode(self, address: str, data: bytes) -> Message:
        if not address:
            return self._commands.decode(data)
        return self._operations.decode(data) if is_entity(address) else self._instances.decode(data)
