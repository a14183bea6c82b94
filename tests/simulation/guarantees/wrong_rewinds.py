"""Wrong parts of durio that rewind wrongly (G27)."""

from __future__ import annotations

from typing import Any

from durio.entities import Mail, Settlement, Taken
from durio.orchestration.acceptance import Work
from durio.orchestration.decision import Decision
from durio.orchestration.history import EntityCalled
from durio.orchestration.instance import Instance
from durio.orchestration.kind import InstanceKind
from durio.orchestration.messages import ChildDone, Rewind
from durio.orchestration.rewind_plan import Cut, Open
from durio.orchestration.settling import Settling


class ForgetsKept(InstanceKind):
    """Results and events from behind the failure are not given again."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        if actor.plan is not None:
            actor.plan.kept.clear()
        super().settle(actor, taken, decision, settlement)


class _Deaf(Settling):
    def _refuse(self, instance: Instance, mail: Mail, settlement: Settlement) -> None:
        key, message = mail
        if message.reply:
            super()._refuse(instance, mail, settlement)
            return
        settlement.consume(key)
        if isinstance(message, ChildDone):
            self.child_done(instance, message, settlement)


class ForgetsLate(InstanceKind):
    """Results that come while a life is failed are lost."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settling = _Deaf()


class _Eager(Cut):
    def is_asked_again(self, found: Open) -> bool:
        return isinstance(found.action, EntityCalled) or super().is_asked_again(found)


class CallsAgain(InstanceKind):
    """Calls that are under way are made again."""

    def settle(self, actor: Instance, taken: Taken[Work], decision: Decision | None, settlement: Settlement) -> None:
        if actor.plan is not None and isinstance(taken.mails[0][1], Rewind):
            actor.plan.__class__ = _Eager
        super().settle(actor, taken, decision, settlement)
