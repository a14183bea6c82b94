"""Virtual actors on a durable store: mailboxes, turns, commits and timers; entities as the first kind of actor."""

from durio.entities.address import EntityId, check_entity_id, check_instance_id, check_text, is_entity, operation_name
from durio.entities.changes import View
from durio.entities.clock import from_us, to_us
from durio.entities.context import CURRENT_OPERATION, Directory, EntityContext, NoOperation
from durio.entities.entity import STATE, EntityKind
from durio.entities.env import Env, SystemEnv, VirtualEnv
from durio.entities.errors import (
    AlreadyRegistered,
    AskInsideTurn,
    DurioError,
    EntityOperationFailed,
    InvalidAddress,
    LockLost,
    NotDurable,
    NotRegistered,
    OperationTimeout,
    RequestExpired,
    RequestIdReused,
    UnknownOperation,
)
from durio.entities.failures import Failure, refusal_of, storable, type_name
from durio.entities.groups import holds_cancelled, single, without_cancelled
from durio.entities.guard import CURRENT_GUARD, Guard, caller_line, suspended_line
from durio.entities.kernel import Kernel
from durio.entities.kinds import ActorKind, Deferred, Taken
from durio.entities.locks import Lock, decode_lock, find_lock
from durio.entities.mailbox import Mail, Mailbox
from durio.entities.messages import (
    CONTROL_LANE,
    HEAD_LANE,
    MAIL_LANE,
    Answer,
    Answered,
    Caller,
    HubCommand,
    Job,
    LockAnswered,
    LockRequest,
    Message,
    Operation,
    Parent,
    Refuse,
    Release,
    StartInstance,
    checked_tags,
    entity_messages,
    refuse,
)
from durio.entities.payloads import PayloadError, Payloads, PayloadTooLarge
from durio.entities.registry import EntityRegistry
from durio.entities.requests import digest_of
from durio.entities.runtime import JobRunner, Runtime
from durio.entities.settlement import Settlement

__all__ = [
    "CONTROL_LANE",
    "CURRENT_GUARD",
    "CURRENT_OPERATION",
    "HEAD_LANE",
    "MAIL_LANE",
    "STATE",
    "ActorKind",
    "AlreadyRegistered",
    "Answer",
    "Answered",
    "AskInsideTurn",
    "Caller",
    "Deferred",
    "Directory",
    "DurioError",
    "EntityContext",
    "EntityId",
    "EntityKind",
    "EntityOperationFailed",
    "EntityRegistry",
    "Env",
    "Failure",
    "Guard",
    "HubCommand",
    "InvalidAddress",
    "Job",
    "JobRunner",
    "Kernel",
    "Lock",
    "LockAnswered",
    "LockLost",
    "LockRequest",
    "Mail",
    "Mailbox",
    "Message",
    "NoOperation",
    "NotDurable",
    "NotRegistered",
    "Operation",
    "OperationTimeout",
    "Parent",
    "PayloadError",
    "PayloadTooLarge",
    "Payloads",
    "Refuse",
    "Release",
    "RequestExpired",
    "RequestIdReused",
    "Runtime",
    "Settlement",
    "StartInstance",
    "SystemEnv",
    "Taken",
    "UnknownOperation",
    "View",
    "VirtualEnv",
    "caller_line",
    "check_entity_id",
    "check_instance_id",
    "check_text",
    "checked_tags",
    "decode_lock",
    "digest_of",
    "entity_messages",
    "find_lock",
    "from_us",
    "holds_cancelled",
    "is_entity",
    "operation_name",
    "refusal_of",
    "refuse",
    "single",
    "storable",
    "suspended_line",
    "to_us",
    "type_name",
    "without_cancelled",
]
