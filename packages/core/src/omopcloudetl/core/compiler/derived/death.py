"""`death`: who died when, and of what, one row a person.

Source: CDM guide, table death: at most one record a person, and a time only where one is known. THEMIS, "multiple death
dates": of several records the most reliable counts, or the latest date; "death month and day": where these are not
known, the last day of the month or year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.source_rows import TooLongTexts, contribution_of, day, table_of
from omopcloudetl.core.compiler.derived.template import tables_of, template
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.kept_rows import SOURCE_ROW, kept_column, only_aside
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import StageBuilder
from omopcloudetl.core.compiler.staged import StagedMapping, columns_of, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.death import DeathMapping, DeathSource
from omopcloudetl.core.specification.models import CdmTable

_SAID = {"said_date": "date", "said_datetime": "datetime"}
"""Columns of when a cause was said, by a source that says nothing of the death itself."""
_CAUSES = ("cause_concept_id", "cause_source_value", "cause_source_concept_id")

# Dates are compared as numbers, so that a birth of which only the year is known is the first day of it.
_AGED = """
SELECT rows.*, CASE WHEN row_reason IS NULL AND says = 'death'
  AND EXTRACT(YEAR FROM death_date) * 10000 + EXTRACT(MONTH FROM death_date) * 100 + EXTRACT(DAY FROM death_date)
    < person.year_of_birth * 10000 + COALESCE(person.month_of_birth, 1) * 100 + COALESCE(person.day_of_birth, 1)
  THEN 'death_date: before birth' ELSE row_reason END AS reason
FROM rows LEFT JOIN cdm.person AS person ON person.person_id = rows.person_id
"""
_OF_ANY_AGE = "SELECT rows.*, row_reason AS reason FROM rows"
_DEATHS = """
WITH rows AS (SELECT 1),
aged AS (SELECT 1),
placed AS (
  SELECT aged.*, CASE WHEN NOT reason IS NULL THEN 'aside' ELSE says END AS place,
    CASE WHEN says = 'cause' OR :latest THEN -1 ELSE 1 END
      * DATE_DIFF('day', DATE '1900-01-01', COALESCE(death_date, said_date)) AS days,
    COALESCE(death_datetime, said_datetime) AS time
  FROM aged
),
ranked AS (
  SELECT placed.*,
    ROW_NUMBER() OVER (
      PARTITION BY person_id, place
      ORDER BY source_number, days NULLS LAST, time DESC NULLS LAST, row_text
    ) AS choice,
    ROW_NUMBER() OVER (
      PARTITION BY person_id, place = 'aside'
      ORDER BY CASE WHEN cause_source_value IS NULL THEN 1 ELSE 0 END, source_number, days NULLS LAST,
        time DESC NULLS LAST, row_text
    ) AS cause_choice
  FROM placed
),
chosen AS (
  SELECT ranked.*, MAX(CASE WHEN place = 'death' AND choice = 1 THEN death_date END) OVER (
    PARTITION BY person_id, place = 'aside'
  ) AS chosen_date
  FROM ranked
),
fated AS (
  SELECT chosen.*, CASE WHEN place = 'aside' THEN 'quarantined' WHEN place = 'death' AND choice = 1 THEN 'written'
    WHEN chosen_date IS NULL THEN 'excluded' ELSE 'merged' END AS fate
  FROM chosen
)
SELECT 1 FROM fated
"""
_REASON = """
SELECT CASE WHEN fate = 'excluded' THEN 'no source has the death' WHEN fate = 'merged' THEN
  CASE WHEN place = 'cause' THEN 'only says a cause' WHEN death_date = chosen_date THEN 'the same date of death'
    ELSE 'another date of death' END
  ELSE reason END
"""
_FIRST_KNOWN = """
SELECT CASE WHEN fate = 'written' THEN MAX(CASE WHEN cause_choice = 1 THEN :value END) OVER (
  PARTITION BY person_id, place = 'aside'
) ELSE :value END
"""


@dataclass(frozen=True)
class _Source:
    """One of the sources, with the values that its rows have for every field of the table."""

    model: DeathSource
    builder: StageBuilder
    values: tuple[FieldValue, ...]
    said: frozenset[str]
    """The fields that the source fills."""

    def rows(self, number: int, keys: int, too_long: TooLongTexts) -> exp.Select:
        """Its rows, with as many columns of the natural key as the longest key of all sources has."""
        own = self.builder.key_columns(self.model.key, "key")
        text = self.builder.compilation.type("text")
        own += [trees.named(trees.null_of(text), f"key_{i}") for i in range(len(own) + 1, keys + 1)]
        required = ("person_id", "death_date") if self.model.says == "death" else ("person_id",)
        reason = self.builder.reason([v for v in self.values if v.name in required], too_long.reasons(self.values))
        return self.builder.rows(
            [
                *own,
                trees.named(trees.number(number), "source_number"),
                trees.named(trees.text(self.model.says), "says"),
                *(trees.named(value.node, value.name) for value in self.values),
                trees.named(reason, "row_reason"),
            ]
        )


def death(compilation: Compilation, loaded: LoadedMapping, model: DeathMapping) -> StagedMapping | None:
    """Deaths, one row for each person; None where the CDM has no table for them."""
    table = table_of(compilation, loaded, "death")
    if table is None:
        return None
    sources = [_source(compilation, loaded, table, number) for number in range(len(model.sources))]
    builder, keys = sources[0].builder, max(len(source.key) for source in model.sources)
    builder.beside = tuple(source.builder for source in sources[1:])
    values = [value for source in sources for value in source.values if value.name in table.by_name]
    too_long = TooLongTexts.of(compilation, model.too_long, table, values)
    selects = [source.rows(number, keys, too_long) for number, source in enumerate(sources, start=1)]
    if any(map(kept_column, selects)):
        for select in (select for select in selects if not kept_column(select)):
            select.append("expressions", trees.named(trees.null_of(compilation.type("text")), SOURCE_ROW))
    rows = trees.union(selects)
    query = _deaths(compilation, model, rows, keys)
    step = stage_step(compilation, loaded, builder, query, checks=too_long.checks(builder, loaded.document.at("name")))
    step.reads |= tables_of(query) & {"cdm.person"}
    compilation.steps.append(step)
    said = frozenset(name for source in sources for name in source.said)
    contribution = too_long.cut(contribution_of(builder, table, list(said), None, keys))
    return StagedMapping(loaded, builder.scope, builder, keys, False, (contribution,), fates_have_reasons=True)


def _source(compilation: Compilation, loaded: LoadedMapping, table: CdmTable, number: int) -> _Source:
    assert isinstance(loaded.model, DeathMapping)
    source = loaded.model.sources[number]
    builder = StageBuilder(compilation, Scope(compilation, loaded, source, ("sources", number)), loaded.model.name)
    found = {value.name: value for value in _said(builder, source, number)}
    types = {field.name: field.type for field in table.fields} | _SAID
    nothing = {
        name: FieldValue(name, trees.null_of(compilation.type(type_)), longest=0) for name, type_ in types.items()
    }
    return _Source(source, builder, tuple((nothing | found).values()), frozenset(found))


def _said(builder: StageBuilder, source: DeathSource, number: int) -> list[FieldValue]:
    """The values that a source has."""
    found = [builder.reference("person_id", "person", source.person, "person")]
    if source.date is not None:
        found += _times(builder, "death" if source.says == "death" else "said", source.date)
    if source.says == "death":
        name = "death_type_concept_id"
        found.append(builder.value(name, source.type_concept_id, "integer", "type_concept_id", required=False))
    if source.cause is not None:
        code = builder.scope.parse(source.cause.code, "cause", "code", as_delivered=True)
        role = f"cause_{number + 1}" if number else "cause"
        lookup = builder.lookup(role, code, source.cause.vocabulary, source.cause.domain, "cause")
        given = trees.not_null(builder.text_of(code))
        concept = trees.case([(given, lookup.concept_id())], None)
        source_concept = trees.case([(given.copy(), lookup.concept_id(source=True))], None)
        nodes = (concept, builder.text_of(code), source_concept)
        found += [FieldValue(name, node) for name, node in zip(_CAUSES, nodes, strict=True)]
    return found


def _times(builder: StageBuilder, name: str, date: str) -> list[FieldValue]:
    """The date of death, or of what is said about it, and its time where one is known: a date alone has none."""
    parsed = builder.scope.parse(date, "date")
    found = [day(builder, f"{name}_date", parsed, last=True)]
    if parsed.family == "timestamp" or parsed.type == "timestamp":
        found.append(builder.fit(f"{name}_datetime", parsed, "datetime"))
    elif parsed.family in {None, "text"} and parsed.type != "date":
        text = builder.text_of(parsed)
        has_time = exp.GT(this=exp.Length(this=text), expression=trees.number(len("2020-01-02")))
        read = builder.compilation.read_as(text.copy(), "datetime")
        found.append(FieldValue(f"{name}_datetime", trees.case([(has_time, read)], None)))
    return found


def _deaths(compilation: Compilation, model: DeathMapping, rows: exp.Query, keys: int) -> exp.Query:
    """The rows with their fates; one that is written has the cause that the policy chooses."""
    latest = exp.true() if model.policy.date == "latest" else exp.false()
    query = template(_DEATHS, {"latest": latest})
    ctes = query.args["with_"].expressions
    key_names = [f"key_{i}" for i in range(1, keys + 1)]
    ctes[0].set("this", _with_text(compilation, rows, key_names))
    ctes[1].set("this", template(_AGED if model.policy.before_birth == "quarantine" else _OF_ANY_AGE))
    names = ("person_id", "death_date", "death_datetime", "death_type_concept_id", *_CAUSES)
    computed = {}
    if model.policy.cause == "first_known":
        computed = {n: template(_FIRST_KNOWN, {"value": trees.column(n, "fated")}).selects[0] for n in _CAUSES}
    query.set(
        "expressions",
        [
            *columns_of("fated", [*key_names, "source_number"]),
            *(trees.named(computed.get(name, trees.column(name, "fated")), name) for name in names),
            trees.named(trees.column("fate", "fated"), "row_fate"),
            trees.named(template(_REASON).selects[0], "row_reason"),
            *(only_aside(trees.column("fate", "fated"), "fated") for _ in kept_column(rows)),
        ],
    )
    return query


def _with_text(compilation: Compilation, rows: exp.Query, keys: Sequence[str]) -> exp.Select:
    """The rows with a text of all that tells them apart beside person and dates."""
    names = [*keys, "death_type_concept_id", *_CAUSES]
    text = key_text([trees.cast(column, compilation.type("text")) for column in columns_of("rows", names)])
    star = exp.Column(this=exp.Star(), table=trees.identifier("rows"))
    return trees.from_(trees.select(star, trees.named(text, "row_text")), trees.subquery(rows, "rows"))
