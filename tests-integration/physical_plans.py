"""What in a physical plan of Spark's ends a run over many rows: a product, one partition for all, rows in Python."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"^(?P<indent>[\s:|+-]*)(?:\*(?:\(\d+\))? )?(?P<text>[A-Za-z].*)$")
_TABLE = re.compile(r"^BatchScan (\S+?)\[")
_MADE = re.compile(r"^\s*CREATE OR REPLACE TABLE\s+\S+(?:\s+USING \w+)?\s+AS\s+", re.IGNORECASE)
_EXPLAINED = re.compile(r"^\s*(INSERT|MERGE|DELETE|UPDATE|SELECT|WITH|\()", re.IGNORECASE)
_ONE = re.compile(r"Aggregate\(keys?=\[\]")
# Buckets of rows that get ids are some thousands, plans of insurers some hundreds.
_FEW = re.compile(r"Aggregate\(keys=\[(bucket|payer_concept_id)#")
_PRODUCTS = ("CartesianProduct", "BroadcastNestedLoopJoin")
# They give as many rows as they get, or fewer.
_PASSING = ("Project", "Filter", "Exchange", "BroadcastExchange", "Sort", "ColumnarToRow", "SubqueryAlias")


@dataclass
class Node:
    """An operator, as Spark tells it, and what it reads."""

    text: str
    depth: int
    inputs: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """It and all below it."""
        yield self
        for one in self.inputs:
            yield from one.walk()

    @property
    def is_counts(self) -> bool:
        """Whether it gives a row for each of few groups, however many rows there are."""
        if _FEW.search(self.text):
            return True
        return self.text.startswith(_PASSING) and len(self.inputs) == 1 and self.inputs[0].is_counts

    @property
    def is_one_row(self) -> bool:
        """Whether it gives one row at most, or one for each partition."""
        if _ONE.search(self.text) or self.text.startswith(("Scan OneRowRelation", "LocalTableScan")):
            return True
        return self.text.startswith(_PASSING) and len(self.inputs) == 1 and self.inputs[0].is_one_row


def explained(statement: str) -> str | None:
    """What to EXPLAIN of a statement; of one that makes a table, the query: its own plan shows nothing."""
    query = _MADE.sub("", statement, count=1)
    return query if _EXPLAINED.match(query) else None


def read_plan(text: str) -> Node:
    """The tree of a plan's text; subqueries stand below the operator that uses them."""
    root = Node("plan", -1)
    above = [root]
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or line.startswith("=="):
            continue
        node = Node(found["text"], len(found["indent"]))
        while above[-1].depth >= node.depth:
            above.pop()
        above[-1].inputs.append(node)
        above.append(node)
    return root


def problems(text: str, is_large: Callable[[str], bool]) -> list[str]:
    """What does not scale, for tables that are large."""
    return [told for node in read_plan(text).walk() if (told := _problem(node, is_large)) is not None]


def _problem(node: Node, is_large: Callable[[str], bool]) -> str | None:
    large = sorted({table for table in _tables(node) if is_large(table)})
    if "EvalPython" in node.text or "PythonUDF" in node.text:
        return f"rows go to Python: {node.text[:80]}"
    if not large:
        return None
    if node.text.startswith(_PRODUCTS) and not any(one.is_one_row for one in node.inputs):
        return f"every row with every other: {node.text[:80]} over {', '.join(large)}"
    if node.text.startswith("Exchange SinglePartition") and not (node.is_one_row or node.is_counts):
        return f"all rows in one partition: {', '.join(large)}"
    return None


def _tables(node: Node) -> Iterator[str]:
    """The tables whose rows come to an operator; an aggregate without keys lets through none."""
    found = _TABLE.match(node.text)
    if found is not None:
        yield found[1]
    if not _ONE.search(node.text):
        for one in node.inputs:
            yield from _tables(one)
