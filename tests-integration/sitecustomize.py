"""Shifts the clock of a process by the seconds in the file named in SHIFTED_CLOCK; Python imports it at its start.

The file is read each time, so that a clock can jump. What counts seconds, `time.monotonic` and the like, is as it is.
"""

import os

if "SHIFTED_CLOCK" in os.environ:
    import datetime
    import time
    from pathlib import Path

    FILE = Path(os.environ["SHIFTED_CLOCK"])
    Real, real_time = datetime.datetime, time.time

    def shift() -> float:
        """How many seconds."""
        return float(FILE.read_text(encoding="utf-8") or 0)

    class Lenient(type):
        """Lets real dates be instances."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, Real)

    class Shifted(Real, metaclass=Lenient):
        """A date that is made from the shifted clock."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]  # a real date
            """What time it is by the shifted clock."""
            return Real.now(tz) + datetime.timedelta(seconds=shift())

    # The process is one of a test, and nothing else can shift the clock of one process on every machine.
    datetime.datetime = Shifted  # type: ignore[misc]
    time.time = lambda: real_time() + shift()
