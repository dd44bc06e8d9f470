"""What a text is as a number, a date or a time is the same on PostgreSQL as on DuckDB, whatever the text is."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import duckdb
import pytest
from postgres_targets import needs_servers, servers
from psycopg import Connection
from sqlglot import exp

from omopcloudetl.core.connection import Row
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator
from omopcloudetl.provider_postgres.dialect import PostgresGenerator

pytestmark = [needs_servers, pytest.mark.xdist_group("synthea-on-postgres")]

Make = Callable[[BaseSQLGenerator], exp.Expr]
# Years of four digits: '99-01-02' is of the first century on DuckDB, and of none on PostgreSQL.
YEARS = ("2020", "2019", "1900", "2000", "0001", "9999")
PARTS = ("0", "1", "01", "2", "02", "4", "12", "13", "28", "29", "30", "31", "32")
HOURS, SIXTIETHS = ("0", "09", "23", "24", "25"), ("0", "00", "9", "59", "60")
FRACTIONS = ("", "", ".", ".5", ".123456", ".1234567", ".999999999")
ZONES = ("", "", "Z", " UTC", "+02:00", "-0530", "+02", "+2", " Z", "x", " ")
FORMATS = ("%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M")
COUNT = 1000


@pytest.fixture(scope="module", params=[15, 18])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Connection[Row]"]:
    """A session of each server."""
    with servers(tmp_path_factory) as running, running[request.param].admin() as session:
        session.execute("SET datestyle = 'ISO, YMD'")
        yield session


def random_days(random: Random) -> str:
    """A day, a time, or something like it."""
    day = random.choice("-/.").join(map(random.choice, (YEARS, PARTS, PARTS)))
    if random.random() < 0.3:
        return random.choice(["", " "]) + day + random.choice(["", "", " "])
    time = ":".join(random.choices(HOURS, k=1) + random.choices(SIXTIETHS, k=random.choice([1, 2])))
    return day + random.choice([" ", "T", "  ", "t"]) + time + random.choice(FRACTIONS) + random.choice(ZONES)


def random_number(random: Random) -> str:
    """A number, or something like it; what PostgreSQL alone reads as nothing is in docs/postgres.md."""
    digits = "".join(random.choices("0123456789", k=random.choice([0, 1, 2, 5, 9, 10, 15])))
    fraction = random.choice(["", "", ".", ".0", ".5", ".25", ",5"])
    exponent = random.choice(["", "", "", "e", "e3", "E+2", "e-4", "e20"])
    return (
        random.choice(["", "", "-", "+", " ", "--"]) + digits + fraction + exponent + random.choice(["", "", " ", "x"])
    )


def read(generator: BaseSQLGenerator, texts: Sequence[str], make: Make) -> str:
    """A query of what the texts are read as, again as texts, in their order."""
    rows = [exp.Tuple(expressions=[exp.convert(i), exp.convert(text)]) for i, text in enumerate(texts)]
    columns = [exp.to_identifier(name, quoted=True) for name in ("i", "x")]
    alias = exp.TableAlias(this=exp.to_identifier("texts"), columns=columns)
    value = exp.Cast(this=make(generator), to=generator.data_type("text"))
    query = exp.select(value).from_(exp.Values(expressions=rows, alias=alias)).order_by(exp.column("i", quoted=True))
    return generator.render(query, {})


def same(server: "Connection[Row]", texts: Sequence[str], make: Make) -> None:
    """Both read the same of each text; numbers may be spelled in another way."""
    with duckdb.connect() as duck:
        one = duck.execute(read(DuckDBGenerator(), texts, make)).fetchall()
    other = server.execute(read(PostgresGenerator(), texts, make)).fetchall()
    triples = [(text, _plain(a), _plain(b)) for text, (a,), (b,) in zip(texts, one, other, strict=True)]
    assert [triple for triple in triples if triple[1] != triple[2]] == []
    assert 0 < sum(triple[1] is None for triple in triples) < len(texts)


def _plain(value: object) -> object:
    try:
        return float(str(value))
    except ValueError:
        return value


def cast(*types: str) -> Make:
    """TRY_CAST of the column, to one type after the other."""

    def make(generator: BaseSQLGenerator) -> exp.Expr:
        value: exp.Expr = exp.column("x", quoted=True)
        for type_ in types:
            value = exp.TryCast(this=value, to=generator.data_type(type_))
        return value

    return make


@pytest.mark.parametrize("types", [("timestamp",), ("timestamp", "date")], ids="-".join)
def test_times_are_read_alike(server: "Connection[Row]", types: tuple[str, ...]) -> None:
    """ISO 8601 with either separator, days that there are, fractions cut to microseconds, zones not heeded."""
    random = Random(1)
    same(server, [random_days(random) for _ in range(COUNT)], cast(*types))


def test_numbers_are_read_alike(server: "Connection[Row]") -> None:
    """Signs, points and exponents are read, commas and letters are not."""
    random = Random(2)
    same(server, [random_number(random) for _ in range(COUNT)], cast("float"))


@pytest.mark.parametrize("type_", ["integer", "bigint"])
def test_whole_numbers_are_read_alike(server: "Connection[Row]", type_: str) -> None:
    """What is none, or is larger than its type, is nothing."""
    random = Random(3)
    texts = [random_number(random) for _ in range(COUNT)]
    texts += ["2147483647", "2147483648", "-2147483648", "-2147483649", "9" * 19, "9223372036854775807"]
    same(server, texts, lambda engine: engine.read_whole(exp.column("x", quoted=True), engine.data_type(type_)))


def test_booleans_are_read_alike(server: "Connection[Row]") -> None:
    """The words for true and false, in any case, and nothing around them."""
    same(server, ["true", "F", "Yes", "no", "1", "0", "on", "off", " t", "tr", "", "2"], cast("boolean"))


@pytest.mark.parametrize("format_", FORMATS)
def test_formats_are_read_alike(server: "Connection[Row]", format_: str) -> None:
    """What is written in a declared format is read, and nothing else."""
    random, texts = Random(4), []
    parts = {"%Y": YEARS, "%m": PARTS, "%d": PARTS, "%H": HOURS, "%M": SIXTIETHS, "%S": SIXTIETHS}
    for _ in range(COUNT):
        text = format_
        for directive, choices in parts.items():
            text = text.replace(directive, random.choice(choices))
        texts.append(random.choice(["", "", " ", "x"]) + text + random.choice(["", "", " ", ".0"]))
    same(server, texts, lambda engine: engine.read_time(exp.column("x", quoted=True), format_))
