"""The names a mapping's SQL may use: parses the author's expressions and checks them against the aliases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.columns import Parsed, SourceColumns
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.sql_errors import (
    UNREADABLE,
    Excerpt,
    check_depth,
    row_level_problem,
    syntax_problem,
    template_mark,
)
from omopcloudetl.core.compiler.types import Family, TypeReader
from omopcloudetl.core.errors import Position
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.source_rows import RowsOfTable

TEMPLATE_PROBLEM = "there are no text templates"
TEMPLATE_HELP = "write a variable as :name"
TEXT_HELP = "a text that is the value of a field is written {constant: …}, a text inside SQL in single quotes"
TABLE_HELP = "write for example source.patients; a file is loaded by a `bulk_load` step first"
AUTHOR_DIALECT = "duckdb"
"""The dialect in which authors write expressions, whatever the target."""

_BEFORE_WINDOWS = frozenset({"where", "joins", "key", "id", "concept", "unit", "cause"})
"""Keys below which SQL chooses rows, tells one from another, or is grouped by."""


class Scope:
    """The tables one mapping reads, under their aliases."""

    def __init__(
        self, compilation: Compilation, mapping: LoadedMapping, rows: RowsOfTable, below: tuple[str | int, ...] = ()
    ) -> None:
        self.compilation = compilation
        self.document = mapping.document
        self.rows = rows
        """The tables as the author declares them."""
        self.below = below
        """The keys of the mapping's file below which they stand."""
        self.step = mapping.step
        """The workflow's step that runs the mapping."""
        self.base = next(iter(rows.from_.items()), None)
        """(alias, table) of the rows the mapping accounts for."""
        self.tables: dict[str, str] = dict(rows.from_)
        self.columns = SourceColumns(compilation, self.tables)
        self.reads: set[str] = set(rows.from_.values())
        self._fresh: set[str] = set()
        self.knows_rules = mapping.is_whole
        """Whether every rule of the mapping could be read."""
        self.used: set[str] = set()
        """The aliases whose columns some rule reads, other than the condition of a join."""
        if self.base is not None:
            compilation.read_at.setdefault(self.base[1], self.at("from", self.base[0]))
        for alias, join in rows.joins.items():
            if alias in self.tables:
                message, where = f"the alias '{alias}' is used twice", self.at_key("joins", alias)
                compilation.problem("duplicate-alias", message, where, help="give the joined table another one")
            self.tables[alias] = join.table
            self.reads.add(join.table)
            compilation.read_at.setdefault(join.table, self.at("joins", alias, "table"))
        self._check_tables()
        self.joins = {
            alias: self.parse(join.on, "joins", alias, "on", condition=True).node for alias, join in rows.joins.items()
        }
        self.used.clear()
        self._check_joins()
        self.condition: exp.Expr | None = None
        """Which rows are not left out: those for which `where` is true, or cannot be told."""
        self.undecided: exp.Expr | None = None
        """When `where` cannot be told, because a column of a declared type cannot be read."""
        if rows.where:
            self._set_condition(self.parse(rows.where, "where", condition=True))

    def _set_condition(self, where: Parsed) -> None:
        self.condition = trees.any_of([where.node, *(condition.copy() for condition in where.unreadable)])
        if where.unreadable:
            self.undecided = trees.any_of(condition.copy() for condition in where.unreadable)

    def at(self, *path: str | int) -> Position:
        """Where a part of the mapping stands."""
        return self.document.at(*self.below, *path)

    def at_key(self, *path: str | int) -> Position:
        """Where the key of a part of the mapping stands."""
        return self.document.at_key(*self.below, *path)

    def fresh(self, name: str) -> str:
        """An alias for a table the compiler joins, different from the author's and from earlier ones."""
        while name in self.tables or name in self._fresh:
            name += "_"
        self._fresh.add(name)
        return name

    def parse(self, sql: str, *path: str | int, as_delivered: bool = False, condition: bool = False) -> Parsed:
        """Parse a scalar expression that stands at `path`; what is wrong with it becomes a diagnostic.

        With `as_delivered` a bare column is not read as its declared type: a date that cannot be read still
        tells one row from another in a key, and a code or a source value is what the file says. A `condition` must
        be something that can be true.
        """
        position = self.at(*path)
        if template_mark(sql) is not None:
            self.compilation.problem("sql-expression", TEMPLATE_PROBLEM, position, found=sql, help=TEMPLATE_HELP)
            return Parsed(exp.Null())
        try:
            check_depth(sql)
            tree: exp.Expr = parse_one(sql, read=AUTHOR_DIALECT, into=exp.Condition)
        except UNREADABLE as error:
            self._syntax_problem(sql, error, position)
            return Parsed(exp.Null())
        problem = row_level_problem(tree, windows=_BEFORE_WINDOWS.isdisjoint(path))
        if problem is not None:
            self.compilation.problem("sql-expression", problem[0], position, found=sql, help=problem[1])
            return Parsed(exp.Null())
        tree = trees.without_places(self._bind(tree, Excerpt(sql, position)))
        family = self._check_types(tree, position, condition=condition)
        if not isinstance(tree, exp.Column):
            parsed = self.columns.typed(tree)
        else:
            parsed = Parsed(tree, self.columns.text_type(tree)) if as_delivered else self.columns.bare(tree)
        return replace(parsed, family=family, position=position)

    def from_clause(self, query: exp.Select, aliases: Iterable[str] | None = None) -> exp.Select:
        """The query with the mapping's FROM and joins; with `aliases`, only the joins they need."""
        wanted = set(self.tables) if aliases is None else self.needed(set(aliases))
        if self.base is not None:
            trees.from_(query, trees.table(self.base[1], self.base[0]))
        else:
            one_row = trees.select(trees.named(trees.number(1), "one"))
            trees.from_(query, trees.subquery(one_row, self.fresh("one_row")))
        for alias, on in self.joins.items():
            if alias in wanted:
                trees.join(query, trees.table(self.tables[alias], alias), on.copy())
        return query

    def aliases_in(self, *trees: exp.Expr | None) -> set[str]:
        """The aliases that expressions use."""
        return {c.table for tree in trees if tree is not None for c in tree.find_all(exp.Column) if c.table}

    def needed(self, aliases: set[str]) -> set[str]:
        """The aliases, and those that their joins need."""
        wanted = set(aliases)
        for alias in reversed(self.joins):
            if alias in wanted:
                wanted |= self.aliases_in(self.joins[alias])
        return wanted

    # -- binding: names, variables, types

    def _bind(self, tree: exp.Expr, text: Excerpt) -> exp.Expr:
        for node in list(tree.find_all(exp.Placeholder, exp.Parameter)):
            value = trees.literal(self.compilation.variable(node.name, text.position, text.variable))
            if node is tree:
                return value
            node.replace(value)
        for query_table in tree.find_all(exp.Table):
            self._bind_table(query_table, text)
        for node in tree.find_all(exp.Column):
            for part in node.find_all(exp.Identifier):
                part.set("this", part.name.lower())
                part.set("quoted", True)
            if node.find_ancestor(exp.Query) is None:
                self._bind_column(node, text)
            else:
                self._bind_inner_column(node, text)
        return tree

    def _bind_table(self, node: exp.Table, text: Excerpt) -> None:
        logical = f"{node.db}.{node.name}".lower()
        self._check_specified(logical, text.position)
        if node.db.lower() not in LOGICAL_SCHEMAS or node.catalog:
            self.compilation.problem(
                "unknown-schema",
                "a table in SQL is written schema.table over the logical schemas",
                text.position,
                found=as_written(node),
                allowed=LOGICAL_SCHEMAS,
                help=TABLE_HELP,
                piece=text.piece(node.args.get("catalog"), node.args.get("db"), node.this),
            )
        node.set("this", trees.identifier(node.name.lower()))
        node.set("db", trees.identifier(node.db.lower()))
        self.reads.add(logical)
        self.compilation.read_at.setdefault(logical, text.position)

    def _bind_column(self, node: exp.Column, text: Excerpt) -> None:
        if node.args.get("db"):
            found = node.sql().replace('"', "")
            message, piece = "a column is written alias.column", text.piece(*node.parts)
            help_ = f"write {next(iter(self.tables), 'alias')}.{node.name}"
            self.compilation.problem("unknown-alias", message, text.position, found=found, piece=piece, help=help_)
            return
        is_bare = not node.table
        if is_bare:
            if len(self.tables) != 1:
                self.compilation.problem(
                    "ambiguous-column",
                    f"say which table '{node.name}' belongs to",
                    text.position,
                    found=node.name,
                    allowed=[f"{alias}.{node.name}" for alias in self.tables],
                    piece=text.piece(node.this),
                    help=None if self.tables else f"the mapping has no `from:`; {TEXT_HELP}",
                )
                return
            node.set("table", trees.identifier(next(iter(self.tables))))
        logical = self.tables.get(node.table)
        if logical is None:
            message, piece = f"there is no alias '{node.table}' in from or joins", text.piece(node.args.get("table"))
            known = tuple(self.tables)
            way = None if self.tables else "name the table under `from:`"
            self.compilation.problem(
                "unknown-alias", message, text.position, found=node.table, allowed=known, help=way, piece=piece
            )
            return
        self.used.add(node.table)
        piece = text.piece(node.this)
        self.compilation.check_column(logical, node.name, text.position, piece, TEXT_HELP if is_bare else None)

    def _bind_inner_column(self, node: exp.Column, text: Excerpt) -> None:
        """A column inside a subquery: of the subquery's own table where an alias says so, or of the mapping's."""
        logical = self.columns.owner(node)
        self.used.add(node.table)
        if logical is not None and node.table:
            self.compilation.check_column(logical, node.name, text.position, piece=text.piece(node.this))

    def _check_types(self, tree: exp.Expr, position: Position, *, condition: bool) -> Family | None:
        """The type of an expression; what the engine cannot do in it is a mistake."""
        reader = TypeReader(self.columns.family)
        family = reader.family(tree)
        if condition and not reader.problems:
            reader.condition(tree)
        for problem in reader.problems:
            message = f"{problem.part}: {problem.message}"
            self.compilation.problem("type-mismatch", message, position, help=problem.help, piece=(problem.part, 0))
        return family

    # -- complaints

    def _check_tables(self) -> None:
        for alias, logical in self.tables.items():
            path = ("from", alias) if self.base and alias == self.base[0] else ("joins", alias, "table")
            self._check_specified(logical, self.at(*path))

    def _check_specified(self, logical: str, position: Position) -> None:
        """A table of the CDM or the vocabulary must be one of the specification."""
        specification = self.compilation.specification
        schema, _, name = logical.partition(".")
        known = [table.name for table in specification.in_schema(schema)]
        if schema in {"cdm", "vocab"} and name not in known:
            message = f"the CDM {specification.version} has no table {logical}"
            self.compilation.problem("unknown-table", message, position, found=name, allowed=known)

    def _check_joins(self) -> None:
        """A join may only use what was joined before it."""
        known = {self.base[0]} if self.base else set()
        for alias, on in self.joins.items():
            known.add(alias)
            for other in sorted(self.aliases_in(on) - known):
                if other in self.joins:
                    message = f"the join '{alias}' uses '{other}', which is joined after it"
                    where, help_ = self.at("joins", alias, "on"), f"move '{other}' above '{alias}'"
                    self.compilation.problem("unknown-alias", message, where, found=other, help=help_)

    def _syntax_problem(self, sql: str, error: Exception, position: Position) -> None:
        self.knows_rules = False
        problem = syntax_problem(error, sql)
        line = f" (line {problem.line} of it)" if "\n" in sql.strip() else ""
        text = f"this SQL expression cannot be read: {problem.message}{line}"
        piece = problem.piece(sql)
        self.compilation.problem("sql-syntax", text, position, found=sql, piece=piece, help=problem.help)


def as_written(table: exp.Table) -> str:
    """A table as its author names it, without its alias; of a function only the name."""
    if isinstance(table.this, exp.Identifier):
        return ".".join(part.name for part in table.parts)
    if isinstance(table.this, exp.Anonymous):
        return table.this.name
    return table.this.sql_name().lower() if isinstance(table.this, exp.Func) else table.this.sql().replace('"', "")
