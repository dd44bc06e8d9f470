"""Promises of secrets in files: which permissions are refused, and which are the platform's own affair."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from omopcloudetl.core.errors import SecretError
from omopcloudetl.core.secret_files import Access, is_open_to_all, problem_of, read_secret

ME, OTHER, ROOT = 1000, 1001, 0
OWN = Access(ME, 0o100600, ME, 0o40755)


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        pytest.param(OWN, None, id="the-user-alone"),
        pytest.param(replace(OWN, mode=0o100400), None, id="read-only"),
        pytest.param(replace(OWN, mode=0o100640), "others may read it", id="group-reads"),
        pytest.param(replace(OWN, mode=0o100644), "others may read it", id="all-read"),
        pytest.param(replace(OWN, mode=0o100604), "others may read it", id="others-read"),
        pytest.param(replace(OWN, mode=0o100620), "others may write it", id="group-writes"),
        pytest.param(replace(OWN, mode=0o100666, folder_mode=0o40700), None, id="nobody-gets-into-the-folder"),
        pytest.param(replace(OWN, mode=0o100640, folder_mode=0o40705), None, id="the-group-does-not-get-in"),
        pytest.param(replace(OWN, folder_mode=0o40777), "others may replace it", id="folder-for-all"),
        pytest.param(replace(OWN, folder_mode=0o40770), "others may replace it", id="folder-for-a-group"),
        pytest.param(replace(OWN, folder_mode=0o41777, folder_owner=ROOT), None, id="folder-with-sticky-bit"),
        pytest.param(replace(OWN, owner=OTHER), "another user owns it", id="of-another-user"),
        pytest.param(replace(OWN, folder_owner=OTHER), "another user owns it or its folder", id="folder-of-another"),
        pytest.param(Access(ROOT, 0o100640, ROOT, 0o40755), None, id="root-gives-it-to-a-group"),
        pytest.param(Access(ROOT, 0o100644, ROOT, 0o40755), None, id="root-gives-it-to-all"),
        pytest.param(Access(ROOT, 0o100646, ROOT, 0o40755), "others may write it", id="root-lets-all-write"),
        pytest.param(Access(ROOT, 0o120777, ROOT, 0o41777, is_mounted=True), None, id="kubernetes"),
        pytest.param(Access(OTHER, 0o100644, ROOT, 0o40755, is_mounted=True), None, id="docker-compose"),
    ],
)
def test_who_else_may_touch_a_secret_makes_it_unfit(access: Access, problem: str | None) -> None:
    """What others may read, write or replace is refused, unless root or a container's platform arranged it so."""
    found = problem_of(access, ME)
    assert (found is None) == (problem is None)
    assert found is None or (problem and found[0].startswith(problem))


def test_what_root_lets_all_read_deserves_a_word() -> None:
    """The user cannot change it, so it is used; it is open all the same."""
    assert is_open_to_all(Access(ROOT, 0o100644, ROOT, 0o40755), ME)
    assert not is_open_to_all(Access(ROOT, 0o100644, ROOT, 0o40755), ROOT)
    assert not is_open_to_all(Access(ROOT, 0o100640, ROOT, 0o40755), ME)
    assert not is_open_to_all(Access(ROOT, 0o100644, ROOT, 0o40755, is_mounted=True), ME)


@pytest.mark.skipif(os.name != "posix", reason="access lists of Windows are not looked at")
def test_an_exposed_file_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    """The error has the path and what to type, and nothing of the file."""
    tmp_path.chmod(0o755)
    file = tmp_path / "x"
    file.write_text("hunter2")
    file.chmod(0o644)
    with pytest.raises(SecretError) as error:
        read_secret(file, "x")
    assert str(error.value) == f"the secret in {file} is not used, because others may read it: chmod 600 {file}"
    file.chmod(0o600)
    assert read_secret(file, "x") == "hunter2"


def test_a_volume_of_kubernetes_is_read_as_it_is_mounted(tmp_path: Path) -> None:
    """There every file is a link to one that all may read, through a link that is replaced when the secret changes."""
    tmp_path.chmod(0o777)
    data = tmp_path / "..2026_11_29"
    data.mkdir()
    (data / "x").write_text("hunter2\n")
    (data / "x").chmod(0o644)
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "x").symlink_to("..data/x")
    assert read_secret(tmp_path / "x", "x") == "hunter2"


@pytest.mark.parametrize("content", [b"x" * 1_000_001, b"hunter2\xff"], ids=["huge", "no-text"])
def test_what_is_no_secret_is_not_quoted(tmp_path: Path, content: bytes) -> None:
    """Nothing of the file stands in the error."""
    (tmp_path / "x").touch(0o600)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(
        SecretError, match=r"^the file of the secret 'x' (has more than 1,000,000 bytes|cannot be read)"
    ) as e:
        read_secret(tmp_path / "x", "x")
    assert "hunter2" not in str(e.value)
