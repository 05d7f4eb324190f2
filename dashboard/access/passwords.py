"""VITRINE_AUTH=basic: a file of `name:hash` lines. `python -m dashboard.access.passwords NAME` prints such a line."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

_METHOD = "scrypt"
_SHORTEST = 8
_NOBODY = "scrypt:32768:8:1$0000000000000000$" + "0" * 128  # because a name that does not exist must cost as much time


class PasswordFile:
    """The users of a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self._users: Mapping[str, str] = {}

    def users(self) -> Mapping[str, str]:
        """Hash by name; OSError when the file cannot be read, ValueError when a line is not name:hash."""
        facts = self._path.stat()
        if self._seen != (facts.st_mtime_ns, facts.st_size):
            self._users = parse_users(self._path.read_text(encoding="utf-8"))
            self._seen = facts.st_mtime_ns, facts.st_size
        return self._users

    def admits(self, name: str, password: str) -> bool:
        """Whether the password is the user's; costs the same time for a name that does not exist."""
        known = self.users().get(name)
        return check_password_hash(known or _NOBODY, password) and known is not None


def parse_users(text: str) -> dict[str, str]:
    """Hash by name; empty lines and those that begin with # are left out."""
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, digest = line.strip().partition(":")
        if not name or digest.count("$") != 2 or not digest.startswith(("scrypt:", "pbkdf2:")):
            raise ValueError(f"line {number} is not name:hash; python -m dashboard.access.passwords NAME prints one.")
        users[name] = digest
    if not users:
        raise ValueError("it names nobody; python -m dashboard.access.passwords NAME prints a line for it.")
    return users


def password_line(name: str, password: str) -> str:
    """A line for the file; ValueError for a name with a colon or a password that is too short."""
    if not name or ":" in name or len(password) < _SHORTEST:
        raise ValueError(f"A name without ':' and a password of {_SHORTEST} or more characters are needed.")
    return f"{name}:{generate_password_hash(password, _METHOD)}"


def main(arguments: Sequence[str]) -> int:
    """Ask for the password (or read it from a pipe) and print the line."""
    if len(arguments) != 1:
        print("usage: python -m dashboard.access.passwords NAME >> passwords.txt", file=sys.stderr)
        return 2
    ask = getpass.getpass if sys.stdin.isatty() else lambda _: sys.stdin.readline().rstrip("\n")
    try:
        print(password_line(arguments[0], ask("Password: ")))
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
