"""Makes a table of its own of what a query names and reads in several places, and puts it back to read the query.

An engine may plan a named query anew in each place that reads it, and those that it reads with it: what joins four
tables is then computed three times, or thirty where such queries read each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

ROWS = "work.rows_"
"""How such tables begin: `work.rows_<mapping>`."""


def take_apart(query: exp.Query, table: exp.Table) -> exp.Query | None:
    """Take the first named query that joins tables and is read in several places out of a query.

    Args:
        query: Changed: in these places it reads `table`.
        table: What is to be made of the query that is returned.

    Returns:
        The named query, with those before it, which it reads; None where there is none.
    """
    named = _named(query)
    for number, cte in enumerate(named):
        places, before = _places(query, cte), named[:number]
        joins = any(one.find(exp.Join) is not None for one in (*before, cte))
        if len(places) < 2 or not joins or _are_read(query, before, cte) or _names(before) & _names(_named(cte.this)):
            continue
        for place in places:
            given = table.copy()
            given.set("alias", exp.TableAlias(this=exp.to_identifier(place.alias_or_name, quoted=True)))
            place.replace(given)
        _name_first(query, [], named[number + 1 :])
        made: exp.Query = cte.this
        _name_first(made, before, _named(made))
        return made
    return None


def put_back(query: exp.Query, table: str, made: exp.Query) -> None:
    """Have a query name `made` itself again, where it reads the table, such as `work.rows_visits`, made of it."""
    places = [found for found in query.find_all(exp.Table) if f"{found.db}.{found.name}" == table]
    if not places:
        return
    made = made.copy()
    before = _named(made)
    made.set("with_", None)
    # The places may have aliases of their own, of which one is the name that the query was taken from.
    name = exp.to_identifier(_names_of(places), quoted=True)
    for place in places:
        alias = exp.to_identifier(place.alias_or_name, quoted=True)
        place.replace(exp.Table(this=name.copy(), alias=exp.TableAlias(this=alias)))
    _name_first(query, [*before, exp.CTE(this=made, alias=exp.TableAlias(this=name))], _named(query))


def _names_of(places: Sequence[exp.Table]) -> str:
    return min((place.alias_or_name for place in places), key=lambda name: (name != "rows", name))


def _named(query: exp.Expr) -> list[exp.CTE]:
    with_ = query.args.get("with_")
    return list(with_.expressions) if with_ is not None and not with_.args.get("recursive") else []


def _name_first(query: exp.Query, more: Sequence[exp.CTE], named: Sequence[exp.CTE]) -> None:
    every = [*more, *named]
    query.set("with_", exp.With(expressions=every) if every else None)


def _names(named: Sequence[exp.CTE]) -> set[str]:
    return {cte.alias for cte in named}


def _are_read(query: exp.Query, before: Sequence[exp.CTE], cte: exp.CTE) -> bool:
    """Whether the query reads one of those before a named query in another place than this and themselves."""
    own = {id(one) for one in (*before, cte)}
    return any(not own & {id(node) for node in _above(place)} for one in before for place in _places(query, one))


def _places(query: exp.Query, cte: exp.CTE) -> list[exp.Table]:
    """Where a query's named query is read; one within may have the same name."""
    tables = (table for table in query.find_all(exp.Table) if not table.db and table.name == cte.alias)
    return [table for table in tables if _meant(table) is cte]


def _meant(table: exp.Table) -> exp.CTE | None:
    """The named query that a name means: that of the innermost query around it, unless it stands within it."""
    above = list(_above(table))
    around = {id(node) for node in above}
    named = (cte for node in above if isinstance(node, exp.Query) for cte in _named(node))
    return next((cte for cte in named if cte.alias == table.name and id(cte) not in around), None)


def _above(node: exp.Expr) -> list[exp.Expr]:
    found, parent = [], node.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found
