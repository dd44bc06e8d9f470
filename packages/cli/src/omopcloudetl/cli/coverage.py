"""Shows which codes have concepts: a table of counts, the codes to map next, a document for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.output import plural

if TYPE_CHECKING:
    from omopcloudetl.core.vocabulary.coverage import Coverage, RoleCoverage


def show_coverage(found: Coverage, top: int) -> None:
    """One line for each lookup, then the codes without a standard concept that most rows have."""
    from omopcloudetl.cli.tables import show_table

    if not found.roles:
        click.echo("no mapping looks codes up, or no row has a code")
        return
    groups = ("codes mapped", "not", "rows mapped", "not", "%", "persons mapped", "not")
    show_table("Coverage", ("mapping", "role", *groups), [_line(role) for role in found.roles])
    unmapped = found.unmapped()
    if not unmapped or not top:
        return
    headers = ("mapping", "role", "vocabulary", "code", "name", "rows", "persons", "why")
    rows = [
        (one.mapping, one.role, one.vocabulary, one.code, one.name, one.rows, one.persons, one.why)
        for one in unmapped[:top]
    ]
    show_table("To map next", headers, rows)
    if len(unmapped) > top:
        click.echo(f"and {plural(len(unmapped) - top, 'code')} more")


def _line(role: RoleCoverage) -> tuple[str | int | None, ...]:
    mapped, not_ = role.mapped, role.unmapped
    share = "" if role.share is None else f"{100 * role.share:.1f}"
    return (
        *(role.mapping, role.role, mapped.codes, not_.codes, mapped.rows, not_.rows),
        *(share, mapped.persons, not_.persons),
    )


def coverage_document(found: Coverage) -> dict[str, object]:
    """The coverage as plain JSON values."""
    return {
        "roles": [{**asdict(role), "share": role.share} for role in found.roles],
        "codes": [{**asdict(code), "why": code.why} for code in found.codes],
    }


def without_vocabulary(found: Coverage) -> Iterator[str]:
    """What a file for Usagi has to leave out."""
    count = sum(not code.vocabulary for code in found.unmapped())
    if count:
        yield f"{plural(count, 'code')} of no vocabulary left out: say `vocabulary:` where the mapping looks them up"
