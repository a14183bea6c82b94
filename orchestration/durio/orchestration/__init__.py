"""Durable orchestrations as actors: replay, activities, timers, events, sub-orchestrations, and the client."""

from durio.orchestration.activities import ActivityContext
from durio.orchestration.aio import connect_asyncio
from durio.orchestration.app import App
from durio.orchestration.backups import backup
from durio.orchestration.blocking import SyncClient, connect_sync
from durio.orchestration.client import Client
from durio.orchestration.connection import connect
from durio.orchestration.context import DurableOrchestrationContext, OrchestrationContext, ReplaySafeLogger
from durio.orchestration.control import PurgeHistoryResult, Started
from durio.orchestration.dead_letters import DeadLetter
from durio.orchestration.diagnosing import StuckInstance
from durio.orchestration.entity_client import EntityStateResponse
from durio.orchestration.entity_list import EntityMetadata, EntityPage
from durio.orchestration.errors import (
    ActionRefused,
    ActivityCrashed,
    ActivityTimeout,
    Cancelled,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFinished,
    InstanceNotFound,
    LockCycle,
    LockingRulesViolation,
    NoActivity,
    NonDeterminismError,
    NonRetriableError,
    NoOwner,
    OwnerSilent,
    TaskCancelledError,
    TaskFailedError,
    TaskNotCompleted,
    Terminated,
    TurnTooLong,
)
from durio.orchestration.hub import open_hub
from durio.orchestration.lock_status import EntityLock, LockWaiter
from durio.orchestration.missing_code import UnregisteredCode
from durio.orchestration.queries import InstanceFilter
from durio.orchestration.query_client import StatusPage
from durio.orchestration.records import OrchestrationRuntimeStatus
from durio.orchestration.replay import ReplayResult, replay_histories
from durio.orchestration.retention import Retention
from durio.orchestration.retries import RetryOptions
from durio.orchestration.rewind_plan import RewindPlan
from durio.orchestration.sections import CriticalSection
from durio.orchestration.status import DurableOrchestrationStatus
from durio.orchestration.tasks import Task, TimerTask
from durio.orchestration.upgrading import upgrade
from durio.orchestration.verifying import verify

__all__ = [
    "ActionRefused",
    "ActivityContext",
    "ActivityCrashed",
    "ActivityTimeout",
    "App",
    "Cancelled",
    "Client",
    "CriticalSection",
    "DeadLetter",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "EntityLock",
    "EntityMetadata",
    "EntityPage",
    "EntityStateResponse",
    "InstanceAlreadyExists",
    "InstanceFilter",
    "InstanceFinished",
    "InstanceNotFailed",
    "InstanceNotFinished",
    "InstanceNotFound",
    "LockCycle",
    "LockWaiter",
    "LockingRulesViolation",
    "NoActivity",
    "NoOwner",
    "NonDeterminismError",
    "NonRetriableError",
    "OrchestrationContext",
    "OrchestrationRuntimeStatus",
    "OwnerSilent",
    "PurgeHistoryResult",
    "ReplayResult",
    "ReplaySafeLogger",
    "Retention",
    "RetryOptions",
    "RewindPlan",
    "Started",
    "StatusPage",
    "StuckInstance",
    "SyncClient",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskNotCompleted",
    "Terminated",
    "TimerTask",
    "TurnTooLong",
    "UnregisteredCode",
    "backup",
    "connect",
    "connect_asyncio",
    "connect_sync",
    "open_hub",
    "replay_histories",
    "upgrade",
    "verify",
]
