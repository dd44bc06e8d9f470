"""Promises of the codes of diagnostics: each is listed with its cause and a way out, and each is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import omopcloudetl.core
from omopcloudetl.core.diagnostic_codes import CODES
from omopcloudetl.core.errors import Diagnostic, Position

SOURCE = Path(omopcloudetl.core.__file__).parent
MAKERS = {"Diagnostic", "problem", "_problem", "_refuse", "_warn", "warning"}
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")


def codes_in(tree: ast.AST) -> Iterator[str]:
    """The texts of the form of a code in the first two arguments of what makes a diagnostic."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name not in MAKERS:
            continue
        for argument in call.args[:2]:
            branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
            for branch in branches:
                if isinstance(branch, ast.Constant) and CODE.fullmatch(str(branch.value)):
                    yield str(branch.value)


def test_every_code_is_listed_and_every_listed_code_is_used() -> None:
    """Core makes no diagnostic of a code that `CODES` does not explain, and explains none that it does not make."""
    used = {code for file in SOURCE.rglob("*.py") for code in codes_in(ast.parse(file.read_text(encoding="utf-8")))}
    assert len(used) > 50
    assert sorted(used) == sorted(CODES)


def test_a_diagnostic_without_a_way_out_has_that_of_its_code() -> None:
    """What only says what is wrong still says what to do; what says it itself keeps its own words."""
    where = Position("f.yaml")
    assert Diagnostic("two-keys", "m", where).help == CODES["two-keys"].way_out
    assert Diagnostic("two-keys", "m", where, help="h").help == "h"
    assert Diagnostic("two-keys", "m", where, allowed=("a",)).help is None
    assert Diagnostic("two-keys", "m", where, suggestion="a").help is None


@pytest.mark.parametrize("code", CODES)
def test_the_texts_of_a_code_are_sentences_and_advice(code: str) -> None:
    """A cause is a sentence, a way out is advice without a full stop."""
    assert CODE.fullmatch(code)
    assert re.fullmatch(r"[A-Z].+\.", CODES[code].cause)
    assert re.fullmatch(r"[a-z$].+[^.]", CODES[code].way_out)
