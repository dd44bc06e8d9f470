"""What tests of the PostgreSQL provider are handed, and the steps that they load."""

from collections.abc import Callable
from pathlib import Path

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.plan import BulkLoadStep, Origin
from omopcloudetl.provider_postgres.engine import PostgresConnection

Open = Callable[..., PostgresConnection]
Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]


def load_step(uri: str, format: str | None = None, mode: str = "create", **more: object) -> BulkLoadStep:
    """A load of `public.t`; the format is the name's ending unless it is given."""
    format = format or uri.rpartition(".")[2]
    text = {"delimiter": "," if format == "csv" else "\t", "quote": "" if format == "athena" else '"'}
    content = {"name": "load_t", "summary": "a load", "origin": Origin(file="workflow.yaml", line=1), "uri": uri}
    content |= {"format": format, "table": ("public", "t"), "mode": mode}
    text |= more.pop("text", {})  # type: ignore[arg-type]  # it is a dict where it is given
    return BulkLoadStep.model_validate(content | {"text": text} | more)
