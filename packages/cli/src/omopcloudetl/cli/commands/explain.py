"""`omopcloudetl explain`: where a field comes from, who writes a table, what a step does."""

from __future__ import annotations

import click

from omopcloudetl.cli.options import ProjectOptions, format_option, project_options
from omopcloudetl.cli.output import emit
from omopcloudetl.core.errors import UnknownNameError


@click.command
@click.argument("name")
@project_options
@click.option("--no-sql", is_flag=True, help="Leave out the SQL.")
@format_option
def explain(name: str, options: ProjectOptions, no_sql: bool, as_json: bool) -> None:
    """Say where a field comes from, who writes a table, or what a step does.

    NAME is a field (person.gender_concept_id), a table (person, source.patients), a step of the plan or the
    workflow, or a mapping. Where several things have the name, a table of the CDM comes first, then a step, then a
    mapping; cdm.person is always a table, step:NAME a step, mapping:NAME a mapping.
    """
    from omopcloudetl.cli.projects import compile_and_warn, open_session

    session = open_session(options)
    plan, warnings = compile_and_warn(session, options, as_json=as_json)
    try:
        found = session.explain(name, plan)
    except UnknownNameError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None

    def text() -> None:
        from omopcloudetl.cli.explanations import show_explanation

        show_explanation(found, sql=not no_sql)

    emit(as_json, lambda: {**found.to_json(sql=not no_sql), "diagnostics": warnings}, text)
