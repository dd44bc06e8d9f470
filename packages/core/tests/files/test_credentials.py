"""Promises about credentials in a project file: wherever one stands, no error shows it."""

from __future__ import annotations

import pytest

from omopcloudetl.core.files.credentials import credentials_in

SECRETS = ("hunter2", "hunter3")


def without_credentials(text: str) -> list[str]:
    """Each line with its credentials taken out."""
    lines, shown = text.split("\n"), []
    for number, line in enumerate(lines, start=1):
        letters = list(line)
        for columns in credentials_in(lines, number):
            letters[columns.start : columns.stop] = [""] * len(columns)
        shown.append("".join(letters))
    return shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connection: {password: hunter2, path: a}", "connection: {password: , path: a}"),
        ("  password: hunter2, hunter3 # and", "  password: "),
        ("{password: 'hunter2, hunter3', b: c}", "{password: , b: c}"),
        ('{"pass_word": x, "API_KEY" : "hun\\"hunter2"}', '{"pass_word": x, "API_KEY" : }'),
        ("  s3_secret_access_key: hunter2", "  s3_secret_access_key: "),
        ("  auth-token: hunter2", "  auth-token: "),
        ("connection: user:hunter2", "connection: "),
        ("dsn: hunter2", "dsn: "),
        ("uri: postgres://me:hunter2@host/db", "uri: postgres://me:@host/db"),
        ("password: |\n  hunter2\n    hunter3", "password: \n  \n    "),
        ("a:\n  password:\n    hunter2\n  path: b", "a:\n  password:\n    \n  path: b"),
        ('password: "hunter2\n  hunter3"\npath: b', "password: \n  \npath: b"),
        ("{password: hunter2,\n token: hunter3}", "{password: ,\n token: "),
    ],
)
def test_a_credential_is_found_however_it_is_written(text: str, shown: str) -> None:
    """Nothing of it is left in any line, and what tells nothing stays."""
    lines = without_credentials(text)
    assert "\n".join(lines) == shown
    assert not any(secret in line for secret in SECRETS for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "password: ${secret:DB}",
        "{password: '${secret:DB}', a: b}",
        "connection:\n  path: a",
        "token: # later",
        "tokens",
    ],
)
def test_what_is_no_credential_is_shown(text: str) -> None:
    """A reference to a secret, other settings and comments are."""
    assert "\n".join(without_credentials(text)) == text
