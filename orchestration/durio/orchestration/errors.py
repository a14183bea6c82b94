"""What can go wrong with orchestrations. Each docstring says who must act."""

from __future__ import annotations

from durio.entities import DurioError, Failure


class InstanceAlreadyExists(DurioError):
    """The id is taken, under the policy of the start. The caller decides: another id, another policy, or leave it."""

    def __init__(self, instance_id: str, name: str, runtime_status: str) -> None:
        super().__init__(instance_id, name, runtime_status)
        self.instance_id = instance_id
        self.name = name
        self.runtime_status = runtime_status

    def __str__(self) -> str:
        return (
            f"An instance with ID '{self.instance_id}' already exists: orchestration {self.name!r}, "
            f"{self.runtime_status}; see if_running= and if_finished= of start_new"
        )


class InstanceNotFound(DurioError, LookupError):
    """There is no instance with this id. The caller must start it first, or correct the id."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return f"there is no instance with ID '{self.instance_id}'; start it first"


class InstanceFinished(DurioError):
    """The instance has ended, so nothing was done. The caller may start it anew."""

    def __init__(self, instance_id: str, runtime_status: str) -> None:
        super().__init__(instance_id, runtime_status)
        self.instance_id = instance_id
        self.runtime_status = runtime_status

    def __str__(self) -> str:
        return f"instance '{self.instance_id}' has ended ({self.runtime_status}); nothing was done"


class InstanceNotFinished(DurioError):
    """Only what has ended can be purged; nothing was done. The caller must terminate it, or wait for its end."""

    def __init__(self, instance_id: str, runtime_status: str) -> None:
        super().__init__(instance_id, runtime_status)
        self.instance_id = instance_id
        self.runtime_status = runtime_status

    def __str__(self) -> str:
        return f"instance '{self.instance_id}' has not ended ({self.runtime_status}); terminate it first, or wait"


class InstanceNotFailed(DurioError):
    """Only an instance that has failed can be rewound; nothing was done. The caller must wait for its end."""

    def __init__(self, instance_id: str, runtime_status: str) -> None:
        super().__init__(instance_id, runtime_status)
        self.instance_id = instance_id
        self.runtime_status = runtime_status

    def __str__(self) -> str:
        return (
            f"instance '{self.instance_id}' has not failed ({self.runtime_status}); only what has failed can be rewound"
        )


class ActionRefused(DurioError):
    """What the orchestrator asked for was refused at the call, and the refusal is in its history. Fix the call."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(error_type, message)
        self.error_type = error_type
        self.message = message

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}"


class TaskFailedError(DurioError):
    """An activity, a sub-orchestration or an entity operation failed. The orchestrator may catch it and go on."""

    def __init__(self, what: str, failure: Failure) -> None:
        super().__init__(what, failure)
        self.what = what
        self.failure = failure

    @property
    def non_retriable(self) -> bool:
        """Whether trying again is of no use."""
        return self.failure.non_retriable

    def __str__(self) -> str:
        return f"{self.what} failed: {self.failure.type}: {self.failure.message}"


class TaskCancelledError(DurioError):
    """A task that was cancelled was awaited. The developer must not await what the code cancelled."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} was cancelled by task.cancel()"


class TaskNotCompleted(DurioError, RuntimeError):
    """`.result` of a task that is not finished was read. The developer must await it first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} has no result yet; await it first"


class LockingRulesViolation(DurioError):
    """The orchestrator did what it must not do in a critical section; it had no effect. Change that line."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what, instead)
        self.what = what
        self.instead = instead

    def __str__(self) -> str:
        return f"{self.what}: {self.instead}"


class LockCycle(DurioError):
    """This wait would have closed a circle in which everybody waits for the next, for ever. Do not wait in that order.

    `chain` are the ids in the circle, each waiting for the next, beginning and ending with the one that was refused.
    """

    def __init__(self, chain: tuple[str, ...]) -> None:
        super().__init__(chain)
        self.chain = tuple(chain)

    def __str__(self) -> str:
        shown = f"{self.chain[0]} waits for {self.chain[1]}"
        for before, after in zip(self.chain[1:], self.chain[2:], strict=False):
            shown += f", which is locked by {after}" if before.startswith("@") else f", which waits for {after}"
        return f"a cycle of waits over locks was refused: {shown}"


class NonDeterminismError(DurioError):
    """The code does not do what its history says it did. Deploy fitting code, or a new version for new instances."""

    def __init__(self, instance_id: str, expected: str, actual: str, where: str = "") -> None:
        super().__init__(instance_id, expected, actual, where)
        self.instance_id = instance_id
        self.expected = expected
        self.actual = actual
        self.where = where

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return (
            f"instance '{self.instance_id}' is not deterministic{place}: its history holds {self.expected}, "
            f"but the code wants {self.actual}; was the code changed under a running instance?"
        )


class TurnTooLong(DurioError):
    """The orchestrator took too many steps or actions without new input. The developer must break the loop."""

    def __init__(self, instance_id: str, limit: int) -> None:
        super().__init__(instance_id, limit)
        self.instance_id = instance_id
        self.limit = limit

    def __str__(self) -> str:
        return f"instance '{self.instance_id}' took {self.limit:,} steps or actions in one turn; is it in a loop?"


class ActivityTimeout(DurioError):
    """An attempt of an activity took longer than its `timeout_s`. It was cancelled; a retry may follow."""

    def __init__(self, name: str, timeout_s: float) -> None:
        super().__init__(name, timeout_s)
        self.name = name
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"activity {self.name!r} took longer than {self.timeout_s} s and was cancelled"


class ActivityCrashed(DurioError):
    """The activity was running at so many unclean ends of the process that it is not started again, nor tried again:
    each further attempt would end everything that the process does. The developer must repair it.
    """

    def __init__(self, name: str, times: int) -> None:
        super().__init__(name, times)
        self.name = name
        self.times = times

    def __str__(self) -> str:
        return f"activity {self.name!r} was running at {self.times} unclean ends of the process; it is not run again"


class NoOwner(DurioError):
    """No process owns the hub, so nobody took what was asked. It stays queued; the operator must start an owner.

    Ask the same again with `request_id=` (also from another process) to get the answer: it is done once. An empty
    `request_id`: so much waits already that nothing was queued.
    """

    def __init__(self, hub: str, waited_s: float, request_id: str) -> None:
        super().__init__(hub, waited_s, request_id)
        self.hub = hub
        self.waited_s = waited_s
        self.request_id = request_id

    def __str__(self) -> str:
        return f"no process owns the hub {self.hub!r}: waited {self.waited_s:.1f} s{_queued(self.request_id)}"


class OwnerSilent(DurioError):
    """A process owns the hub, but it takes nothing: it is stopped, or its Trio loop is blocked. It is not replaced.

    The operator must let it go on, or kill it. What was asked stays queued, as with `NoOwner`.
    """

    def __init__(self, hub: str, pid: int, waited_s: float, request_id: str) -> None:
        super().__init__(hub, pid, waited_s, request_id)
        self.hub = hub
        self.pid = pid
        self.waited_s = waited_s
        self.request_id = request_id

    def __str__(self) -> str:
        return (
            f"process {self.pid} owns the hub {self.hub!r} and does not answer; is it stopped? "
            f"waited {self.waited_s:.1f} s{_queued(self.request_id)}"
        )


def _queued(request_id: str) -> str:
    if not request_id:
        return "; too much waits already, nothing was queued"
    return f"; the request stays queued: ask again with request_id={request_id!r} for its answer"


class NonRetriableError(DurioError):
    """Raise it (or a subclass) in an activity when trying again is of no use."""

    non_retriable = True


class NoActivity(DurioError, RuntimeError):
    """`ActivityContext.current()` was called outside of an activity. The developer must move the call."""

    def __str__(self) -> str:
        return "no activity is running here; ActivityContext.current() works inside activities only"


class Cancelled(BaseException):
    """A client asked to cancel this instance: raised at the current await, once for each request (G26).

    The orchestrator may clean up, also with activities, and let it pass: then the instance ends as Canceled. Catching
    it and going on is allowed. It is no `Exception`, so that `except Exception` does not swallow it.
    """

    def __init__(self, instance_id: str, reason: str = "") -> None:
        super().__init__(instance_id, reason)
        self.instance_id = instance_id
        self.reason = reason

    def __str__(self) -> str:
        return f"instance '{self.instance_id}' was cancelled: {self.reason or 'no reason given'}"


class Terminated(DurioError):
    """The sub-orchestration that was awaited was terminated. The orchestrator may catch it, as `TaskFailedError`."""

    def __init__(self, instance_id: str, reason: str) -> None:
        super().__init__(instance_id, reason)
        self.instance_id = instance_id
        self.reason = reason

    def __str__(self) -> str:
        return f"instance '{self.instance_id}' was terminated: {self.reason or 'no reason given'}"
