"""Every limit of orchestrations, with its unit in the name and its reason beside it."""

from __future__ import annotations

from typing import Final

STEPS_MAX: Final = 1_000_000
"""Most steps or actions of one turn without new input: more is an endless loop (G8)."""

REPLAY_SLICE_MS: Final = 2.0
"""Replaying and loading give way to others after this long (G8)."""

HISTORY_SLICE: Final = 256
"""Events of a history that are shown before others have their turn: some milliseconds (G8)."""

REPLAY_CHUNKS: Final = 64
"""Rows of history read at a time."""

APPETITE_MIN: Final = 16
"""Most messages that the first turn of an execution takes; twice as many in each that follows, up to 256 (G23)."""

ACTIVITY_LIMIT: Final = 1000
"""How many of one `async def` activity run at a time unless it says otherwise."""

THREAD_LIMIT: Final = 16
"""How many of one synchronous activity run at a time unless it says otherwise: each takes a thread."""

JOBS_WAITING_MAX: Final = 1000
"""How many of one activity wait for their slot in memory with all they hold; of the others only the key (G7)."""

ROOT_BYTES_MAX: Final = 100
"""How much of the top-most ancestor's id goes into the ids of children: they must fit into an id themselves (G29)."""

EVENT_NAME_BYTES_MAX: Final = 1024
"""Longest name of an external event, in UTF-8."""

DUE_US_MAX: Final = 253_402_300_799_999_999
"""The last moment a datetime can name, in microseconds since 1970."""

SLOW_STEP_MS: Final = 100.0
"""A turn of an orchestrator that takes longer is logged with its place: nothing else ran meanwhile (G8)."""

STEP_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most payload bytes that one turn takes in: a batch of large results must not fill the memory (G8)."""

TASK_DEPTH_MAX: Final = 100
"""Deepest nesting of `task_all` and `task_any`: they are walked by recursion."""

TIMEOUT_S_MAX: Final = 10 * 366 * 24 * 3600.0
"""Longest `timeout_s` of an activity: more is a mistake."""

LOCK_ENTITIES_MAX: Final = 1000
"""Most entities of one critical section: they are asked one after the other, and all are in one row (G12)."""

NEEDS_MAX: Final = 32
"""Most ranges of actions, and most entities, of which an instance notes that it cannot go on without (G12)."""

CYCLE_NODES_MAX: Final = 1000
"""Most instances that are looked at for one wait: a longer cycle is not found (G12)."""

CYCLE_MAIL_MAX: Final = 1000
"""Most unread messages of a locked entity that are searched for one that waits (G12)."""

LOCK_MAIL_MAX: Final = 1000
"""Most unread messages of a locked entity that a list of locks looks through for those who wait (G12)."""

LOCK_WAITERS_MAX: Final = 100
"""Most waiters of one entity that a list of locks shows."""

LOCKS_MAX: Final = 1000
"""Most locks that one list has unless it says otherwise."""

OWNER_TIMEOUT_S: Final = 10.0
"""How long a client in another process waits for an owner to take what it asked, before it says so."""

CLIENT_POLL_S: Final = 0.05
"""How often a client in another process that waits looks for its answer: the bell is only a hint."""

STANDBY_POLL_S: Final = 0.05
"""How often a standby looks whether the owner is gone; it takes over within a second."""
