"""What a workflow says about errors: how often to try again, how long a step may take, what a failure stops."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import AT, HELP, StrictModel

OnFailure = Literal["continue", "stop"]
"""What a failed step stops: only what depends on it, or all that has not begun."""

Wait = Annotated[float, Field(ge=0, le=3_600, strict=True)]
"""Seconds to wait."""

TimeLimit = Annotated[float, Field(ge=0.1, le=2_592_000, strict=True)]
"""Seconds that a step may take, 30 days at most."""


class Retry(StrictModel):
    """How a step is tried again after an error that may pass by itself, such as a lost connection or a lock."""

    attempts: Annotated[int, Field(ge=1, le=100, strict=True)] = 3
    """How often a step is tried in all; 1 to never try again."""
    first_wait: Wait = 0.2
    """Seconds before the second try; each further wait is twice as long, and a random bit longer."""
    max_wait: Wait = 10.0
    """Seconds that no wait is longer than."""

    @model_validator(mode="after")
    def _waits(self) -> Retry:
        if self.first_wait > self.max_wait:
            key = "first_wait" if "first_wait" in self.model_fields_set else "max_wait"
            words = f"is longer than max_wait, {self.max_wait:g} s"
            if key == "max_wait":
                words = f"is shorter than first_wait, {self.first_wait:g} s"
            help_ = "give both, the longer one as max_wait"
            raise PydanticCustomError("waits", words, {AT: (key,), HELP: help_})
        return self
