"""The file of names and hashes, and the command that makes its lines."""

import io
import sys
from pathlib import Path

import pytest

from dashboard.access.passwords import PasswordFile, main, parse_users, password_line


def test_the_command_makes_a_line_that_admits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert main(["ada"]) == 0
    line = capsys.readouterr().out
    assert "correct horse" not in line
    file = PasswordFile(tmp_path / "users")
    (tmp_path / "users").write_text(f"# people\n\n{line}")
    assert [file.admits("ada", "correct horse"), file.admits("ada", ""), file.admits("eve", "correct horse")] == [
        True,
        False,
        False,
    ]
    (tmp_path / "users").write_text(password_line("bob", "battery staple"))
    assert [file.admits("ada", "correct horse"), file.admits("bob", "battery staple")] == [False, True]


@pytest.mark.parametrize(("name", "password"), [("a:b", "long enough"), ("", "long enough"), ("ada", "short")])
def test_a_line_that_could_not_work_is_refused(name: str, password: str) -> None:
    with pytest.raises(ValueError, match="8 or more characters"):
        password_line(name, password)


@pytest.mark.parametrize("text", ["", "# nobody", "ada:plain password", "ada", ":scrypt:1:1:1$a$b"])
def test_a_file_that_is_no_password_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"dashboard\.access\.passwords NAME"):
        parse_users(text)
