"""Every limit of the actor runtime, with its unit in the name and its reason beside it."""

from __future__ import annotations

from typing import Final

ADDRESS_BYTES_MAX: Final = 256
"""Longest address (instance id, or `@name@key`) in UTF-8. LMDB keys hold 511 bytes; the rest is for suffixes."""

PAYLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Longest payload, encoded; `open_hub(payload_bytes_max=...)` sets another. Whoever decodes it needs several times as
much memory at once."""

BLOB_BYTES_MIN: Final = 128 * 1024
"""A longer payload is a blob: on disk once, and a short reference wherever else it would be. Below it, copies are
cheaper than the two rows more that a blob takes."""

BLOB_CACHE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Blobs that are durable and in memory, too: two of the largest, so that what was just written is not read again."""

BLOB_ROWS_FREED_MAX: Final = 4096
"""Rows of blobs deleted in one commit, some 4 GiB: each is a walk through the tree; more of them wait for the next."""

BLOB_SLICE_MS: Final = 2.0
"""Loading a blob for a turn gives way to others after this long (G8)."""

PAYLOAD_DEPTH_MAX: Final = 200
"""Deepest nesting that is encoded: what was encoded on a short call stack must decode on a long one."""

TURN_MESSAGES_MAX: Final = 256
"""Most messages that one actor takes before it goes to the back of the queue (G8)."""

TURN_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most payload bytes that one actor takes in one turn: a batch of large messages must not fill the memory (G8)."""

MAILBOX_WINDOW_MAX: Final = 1024
"""Most unread messages of one actor kept in memory; the others wait on disk until the window is read (G7)."""

MAILBOX_READ_MIN: Final = 32
"""How many unread messages are read first; each time more are needed it is twice as many, up to the window."""

ACTIVATIONS_MAX: Final = 10_000
"""Most actors kept in memory; beyond it the least recently used idle ones are dropped (G7)."""

IDLE_S: Final = 60.0
"""How long an actor without work stays in memory (G7)."""

INTAKE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Most bytes of messages and results taken in and not durable yet; more of them wait. Some ten commits' worth: enough
that the disk is never idle, and little enough that the next commit is never far (G8)."""

INTAKE_CONTROL_BYTES: Final = 1024 * 1024
"""Room beyond `INTAKE_BYTES_MAX` that only terminate, suspend and resume may use: they must not wait behind a crowd."""

MESSAGE_BYTES: Final = 1024
"""About what a message holds in memory beside its payload, with its key, its place in a mailbox and its answer."""

TURNS_MS: Final = 2.0
"""CPU time of turns after which the scheduler lets the commit in flight finish: a busy loop starves its thread."""

GATHER_MS: Final = 10.0
"""CPU time of turns that may go into one batch while more actors are runnable: then it is committed anyway."""

SWITCH_INTERVAL_S: Final = 1e-4
"""`sys.setswitchinterval` while a hub is open: other busy tasks of the user must not starve the commits either."""

CLOCK_READ_S: Final = 30.0
"""The wall clock is read again at least this often, so that a jump of it is seen (G28)."""

TIMER_WINDOW_MAX: Final = 4096
"""Timers kept in memory; later ones stay on disk until their time comes near (G7)."""

TIMER_BATCH_MAX: Final = 1024
"""Due timers turned into messages before anything else gets a turn (G28)."""

JOBS_START_MAX: Final = 1000
"""Jobs of an earlier owner that are started together: a hub with a million of them opens without reading all (G8)."""

TRASH_BATCH_MAX: Final = 512
"""Rows of a cut history deleted in one step; more of them wait behind a tombstone (G18, G23)."""

REQUEST_DEDUPE_S: Final = 24 * 3600.0
"""How long the answer to a request id is kept (G3)."""

REQUEST_ID_BYTES_MAX: Final = 200
"""Longest request id in UTF-8."""

POISON_ENDS_MAX: Final = 3
"""A message found running at so many unclean ends is parked (G6). Once may be chance, and twice a machine that was
switched off; each further one is a crash of everything that the process does."""

JOB_ENDS_MAX: Final = 10
"""The same for an activity, which fails then (G24): it runs long, so many more ends find it without being its fault."""

OPERATION_GRACE_S: Final = 5.0
"""How long running `async def` operations may go on when the hub closes, before they are cancelled (G10)."""

SLOW_STEP_MS: Final = 100.0
"""A step of user code on the loop that takes longer is logged with its actor: nothing else ran meanwhile (G8)."""

TAGS_MAX: Final = 64
"""Most tags of one instance or activity; they are written with every start."""

ROOM_POLL_S: Final = 1.0
"""How often a hub without room on its disk looks whether there is some (G32)."""

POSTS_MAX: Final = 256
"""Most posts of other processes taken in before the batch that takes them is durable."""

POST_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most bytes of posts taken in at once, but for one post that is larger: they are in memory until they are durable."""

POST_SCAN_S: Final = 1.0
"""The owner looks into the inbox at least this often: a bell may be lost."""

POST_TIDY_S: Final = 5.0
"""How often the owner frees what killed clients left behind: a dead reader keeps every old page on disk."""

POST_RINGS_MAX: Final = 100_000
"""Most request ids of other processes remembered for ringing; the others find their answer when they look."""
