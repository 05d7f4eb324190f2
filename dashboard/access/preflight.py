"""What is checked before anything starts: nobody serves others by accident, and the named way in is complete."""

import ipaddress
import socket
import sys

from pydantic import ValidationError

from dashboard.access.passwords import PasswordFile
from dashboard.preflight import CannotStart, check_store, setting_problems
from dashboard.settings import Settings

_CHOICES = (
    "VITRINE_AUTH=proxy (with VITRINE_AUTH_PROXIES), VITRINE_AUTH=basic (with VITRINE_AUTH_PASSWORDS),"
    " VITRINE_AUTH=oidc (with VITRINE_OIDC_URL, VITRINE_OIDC_CLIENT and VITRINE_OIDC_SECRET), or VITRINE_AUTH=none to"
    " let everybody in"
)


def check_access(settings: Settings, *addresses: str) -> None:
    """Raise CannotStart when an address (the setting's, and others that a server binds) is open to all unsaid."""
    for host in (settings.host, *addresses):
        if not settings.auth and not is_loopback(host):
            raise CannotStart(f"{host} can be reached by others, and nothing says who may enter. Set {_CHOICES}.")
    lacking = _lacking(settings)
    if lacking:
        raise CannotStart(f"VITRINE_AUTH={settings.auth} needs {lacking}.")
    for network in settings.auth_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            raise CannotStart(f"VITRINE_AUTH_PROXIES: {exc}; accepted are networks such as 10.0.0.0/8.") from exc
    if settings.auth == "basic" and settings.auth_passwords:
        try:
            PasswordFile(settings.auth_passwords).users()
        except (OSError, ValueError) as exc:
            raise CannotStart(f"VITRINE_AUTH_PASSWORDS={settings.auth_passwords}: {exc}") from exc


def read_settings() -> Settings:
    """The settings for gunicorn's configuration file; one sentence for each that cannot be read, and the end."""
    try:
        return Settings()
    except ValidationError as exc:
        sys.exit("\n".join(setting_problems(exc)))


def refuse_to_start(settings: Settings, *addresses: str) -> None:
    """The same checks for gunicorn's configuration file: the sentence alone, then the end of the process."""
    try:
        check_access(settings, *addresses)
        check_store(settings)
    except CannotStart as exc:
        sys.exit(str(exc))


def _lacking(settings: Settings) -> str:
    """The settings that the chosen way in needs and that are unset."""
    needed: dict[str, dict[str, object]] = {
        "proxy": {"VITRINE_AUTH_PROXIES": settings.auth_proxies},
        "basic": {"VITRINE_AUTH_PASSWORDS": settings.auth_passwords},
        "oidc": {
            "VITRINE_OIDC_URL": settings.oidc_url,
            "VITRINE_OIDC_CLIENT": settings.oidc_client,
            "VITRINE_OIDC_SECRET": settings.oidc_secret,
        },
    }
    return " and ".join(name for name, value in needed.get(settings.auth, {}).items() if not value)


def is_loopback(host: str) -> bool:
    """Whether an address or a host name can be reached from this machine only."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host.strip("[]") or "0.0.0.0", None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in found)
