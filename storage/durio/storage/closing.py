"""The mark of how a hub was closed, and whether its data must be checked before anybody reads it."""

import contextlib
import json
import os
from typing import Any

import attrs

from durio.storage.datafile import DataFile
from durio.storage.limits import MARKER_BYTES_MAX


@attrs.frozen
class ClosingMark:
    """A file beside the data, written when an owner closes and removed when the next one opens.

    It says how the data file was left, so that the next owner sees whether anybody touched it meanwhile; or that the
    hub was broken, so that it is checked first. A hub whose owner was killed has none.
    """

    path: str

    def clean(self, data: str) -> None:
        """The hub was closed in good order. The file gets the length its root speaks of: one that is shorter later was
        cut.
        """
        with contextlib.suppress(OSError):
            found = DataFile.look(data)
            if found is None or (found.odd and found.size_bytes >= found.needed_bytes):
                return
            if found.size_bytes < found.needed_bytes:
                os.truncate(data, found.needed_bytes)
                found = DataFile.look(data)
            if found is not None:
                self._write({"clean": True, **_facts(found)})

    def broken(self, why: str) -> None:
        """The hub broke."""
        with contextlib.suppress(OSError):
            self._write({"clean": False, "why": why})

    def remove(self) -> None:
        """The hub is about to be changed. Raises `OSError`: a mark that stays would be wrong."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def doubt(self, found: DataFile) -> str:
        """Why the data must be checked before it is read; empty if it need not be."""
        mark = self._read()
        if mark is None:
            return found.odd
        if mark.get("clean") is not True:
            return f"it broke ({mark.get('why', 'the mark of how it was closed is damaged')})"
        if found.odd:
            return found.odd
        return "" if _facts(found).items() <= mark.items() else "its data file was changed after it was closed"

    def _read(self) -> dict[str, Any] | None:
        try:
            with open(self.path, "rb") as file:
                mark = json.loads(file.read(MARKER_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return {}
        return mark if isinstance(mark, dict) else {}

    def _write(self, mark: dict[str, Any]) -> None:
        # Not synced: a mark that is lost or half there only makes the next owner look closer.
        with open(self.path + ".tmp", "w", encoding="utf-8") as file:
            json.dump(mark, file)
        os.replace(self.path + ".tmp", self.path)


def _facts(found: DataFile) -> dict[str, int]:
    return {"size_bytes": found.size_bytes, "changed_ns": found.changed_ns, "txn": found.txn}
