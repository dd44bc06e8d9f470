"""Ends what dead runs left working on a server, and refuses a target on which another run may still work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from omopcloudetl.core.connection import BaseConnection, RunSession
from omopcloudetl.core.errors import DatabaseError, RunError
from omopcloudetl.orchestrator_local.lock import TargetInUseError

LOOKS, SECONDS_BETWEEN = 30, 0.5
"""A server needs some seconds to see that a program is gone."""


def end_dead_sessions(connection: BaseConnection, is_dead: Callable[[str], bool]) -> None:
    """End the sessions of runs that are dead, before anything is read that they could change by a late commit."""
    end_sessions(connection, {session.run for session in connection.run_sessions() if is_dead(session.run)})


def end_sessions(connection: BaseConnection, dead: Collection[str]) -> None:
    """End the sessions of these runs, if there are any.

    Raises:
        RunError: One does not end.
    """
    if not dead:
        return
    try:
        connection.end_sessions(dead)
    except DatabaseError as error:
        if connection.is_transient(error):
            raise
        raise RunError(f"what a run that is dead left working cannot be ended: {error}") from error


def refuse_live_sessions(
    connection: BaseConnection, target: str, runs: Collection[str], pause: Callable[[float], None]
) -> None:
    """Wait a little for the sessions of these runs, of which nobody knows whether they are dead.

    They began from another state folder, perhaps on another machine, where the lock of the target is another one.

    Raises:
        TargetInUseError: There still are some.
    """
    looks = 0
    while runs and (left := [session for session in connection.run_sessions() if session.run in runs]):
        looks += 1
        if looks == LOOKS:
            raise TargetInUseError(_in_use(target, left))
        pause(SECONDS_BETWEEN)


def _in_use(target: str, left: Sequence[RunSession]) -> str:
    listed = "".join(f"\n  run {session.run}: {session.label}" for session in left)
    return (
        f"the target {target} is in use by a run that began from another folder or machine; wait until it has ended,"
        f" or end what it left behind:{listed}"
    )
