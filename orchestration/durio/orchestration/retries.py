"""Retries: made of attempts and durable timers, in replayed time (G24)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from durio.entities import Failure
from durio.orchestration.refusals import is_refusal
from durio.orchestration.tasks import ActionTask, Decode, TaskOwner

T_co = TypeVar("T_co", covariant=True)


def _positive(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is None and attribute.default is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{attribute.name} is a number, not {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{attribute.name}={value!r} must be a number greater than 0")


def _whole(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{attribute.name} is a whole number, not {value!r}")


@attrs.frozen
class RetryOptions:
    """How often and when to try again. The first two names and their order are Azure's `RetryOptions`.

    The delay before attempt n+1 is `first_retry_interval_in_milliseconds * backoff_coefficient ** (n - 1)`, at most
    `max_retry_interval_in_milliseconds`. No attempt starts later than `retry_timeout_in_milliseconds` after the first
    one. `handle` may look at a failure and say False: do not try again; it is orchestrator code and must be
    deterministic. Failures that are `non_retriable` are never tried again.
    """

    first_retry_interval_in_milliseconds: int = attrs.field(validator=_positive)
    max_number_of_attempts: int = attrs.field(validator=[_positive, _whole])
    backoff_coefficient: float = attrs.field(default=1.0, kw_only=True, validator=_positive)
    max_retry_interval_in_milliseconds: int | None = attrs.field(default=None, kw_only=True, validator=_positive)
    retry_timeout_in_milliseconds: int | None = attrs.field(default=None, kw_only=True, validator=_positive)
    handle: Callable[[Failure], bool] | None = attrs.field(default=None, kw_only=True)

    def delay_us(self, attempt: int) -> int:
        """How long to wait after attempt number `attempt` (from 1) failed, in microseconds."""
        most_ms = self.max_retry_interval_in_milliseconds
        try:
            delay_ms = self.first_retry_interval_in_milliseconds * self.backoff_coefficient ** (attempt - 1)
        except OverflowError:
            delay_ms = float("inf")
        if most_ms is not None:
            delay_ms = min(delay_ms, most_ms)
        return int(min(delay_ms, 1e12) * 1000)


class RetryTask(ActionTask[T_co]):
    """A call that is tried again. `attempt(number)` starts one and gives its action; `pause(delay_us)` sets a timer.

    `action` is that of the attempt or of the pause that runs now.
    """

    def __init__(
        self,
        owner: TaskOwner,
        what: str,
        options: RetryOptions,
        attempt: Callable[[RetryTask[Any], int], int],
        pause: Callable[[RetryTask[Any], int], int],
        now_us: Callable[[], int],
        decode: Decode,
    ) -> None:
        super().__init__(owner, what, 0, decode)
        self._options = options
        self._attempt = attempt
        self._pause = pause
        self._now_us = now_us
        self._number = 1
        self._began_us = now_us()
        self.action = attempt(self, 1)

    def go_wrong(self, position: int, failure: Failure) -> None:
        options = self._options
        delay_us = options.delay_us(self._number)
        too_late = (
            options.retry_timeout_in_milliseconds is not None
            and self._now_us() + delay_us - self._began_us > options.retry_timeout_in_milliseconds * 1000
        )
        if (
            failure.non_retriable
            or self._number >= options.max_number_of_attempts
            or too_late
            or (options.handle is not None and not options.handle(failure))
        ):
            super().go_wrong(position, failure)
        else:
            self.action = self._pause(self, delay_us)

    def resume(self, position: int) -> None:
        """The pause is over. What refuses the next attempt ends the call, as its failure."""
        self._number += 1
        try:
            self.action = self._attempt(self, self._number)
        except Exception as error:
            if not is_refusal(error):
                raise
            self.fail(position, error)
