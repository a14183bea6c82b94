"""Groups of errors, as nurseries raise them."""

from __future__ import annotations

import trio


def single(error: BaseException) -> BaseException:
    """The one error inside nested groups, if it is one: nobody should have to dig for it. Else `error` itself."""
    leaves = _leaves(error)
    return leaves[0] if len({id(leaf) for leaf in leaves}) == 1 else error


def holds_cancelled(error: BaseException) -> bool:
    """Whether it is, or holds, a `trio.Cancelled`."""
    return any(isinstance(leaf, trio.Cancelled) for leaf in _leaves(error))


def without_cancelled(error: BaseException) -> bool:
    """Whether what user code raised while it was cancelled is its own affair: errors, maybe beside `Cancelled`."""
    if isinstance(error, BaseExceptionGroup):
        rest = error.split(trio.Cancelled)[1]
        return rest is not None and isinstance(rest, Exception)
    return isinstance(error, Exception)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
