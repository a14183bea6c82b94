"""Commands: what is asked of the hub itself, and not of an actor."""

from __future__ import annotations

from collections.abc import Callable

from durio.entities.messages import Answer, HubCommand, Message, refuse

Command = Callable[[HubCommand], Answer]
"""Changes the batch that fills, and gives the answer that leaves with it."""


class Commands:
    """What the hub can be asked, by name.

    Guarantees: a command is done at once, in the batch that fills, and answered with it (G2, G5).
    """

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def add(self, name: str, command: Command) -> None:
        """From now on the hub can be asked this."""
        self._commands[name] = command

    def run(self, message: Message) -> Answer:
        """Do what is asked. What the hub does not know is refused as `ValueError`."""
        command = self._commands.get(message.name) if isinstance(message, HubCommand) else None
        if command is None or not isinstance(message, HubCommand):
            return refuse(ValueError(f"the hub knows no command {message!r}"))
        return command(message)
