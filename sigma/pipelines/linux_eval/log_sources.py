"""Log sources: which of Sigma's category, product and service the schemas serve, and by which field table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from sigma.rule import SigmaLogSource

from .services import SERVICES

# Category, product, service as a rule names them, in lower case.
LogSourceKey = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class LinuxLogSource:
    """One log source that a pipeline serves.

    Attributes:
        name: Its name in messages, in item identifiers and among the kinds of its schema.
        fields: Key of its field table in its schema.
    """

    name: str
    fields: str


_CATEGORIES = ("process_creation", "file_event", "network_connection")
# Services that such events are recorded by; a rule may name them beside the category.
_RECORDERS = (None, "auditd", "sysmon")
# A rule that names no product is for every one, so for Linux as well.
_PRODUCTS = (None, "linux")
# Further names that rules use for a service.
_SERVICE_ALIASES: Mapping[str, tuple[str, ...]] = {
    "sshd": ("ssh", "openssh"),
    "cron": ("crond",),
    "auth": ("authpriv", "secure"),
    "syslog": ("messages", "journald"),
    "kernel": ("kern",),
    "clamav": ("clamd",),
    "guacamole": ("guacd",),
    "named": ("bind",),
    "mysql": ("mariadb",),
    "postgresql": ("postgres",),
    "apache": ("apache2", "httpd"),
}
# Services whose lines are sudo's, or may be.
_WITH_SUDO = frozenset({"sudo", "auth", "syslog"})


def find_log_source(logsource: SigmaLogSource, served: Mapping[LogSourceKey, LinuxLogSource]) -> LinuxLogSource | None:
    """Return which of *served* is a rule's *logsource*, or ``None``. Case doesn't matter."""
    parts = (logsource.category, logsource.product, logsource.service)
    category, product_, service = (part.lower() if part else None for part in parts)
    return served.get((category, product_, service))


def log_sources() -> tuple[LinuxLogSource, ...]:
    """Return every log source of Linux and web servers, each once."""
    return tuple(dict.fromkeys(LINUX_LOG_SOURCES.values()))


def supported_log_sources() -> str:
    """Return what ``LINUX_LOG_SOURCES`` serves, in one line."""
    services = ", ".join(dict.fromkeys(service for _, _, service in LINUX_LOG_SOURCES if service in _SERVICE_NAMES))
    return (
        f"product linux with category {', '.join(_CATEGORIES)} or service {services}; product linux alone; "
        f"category webserver; product or service {', '.join(_WEB_SERVERS)}"
    )


def sysmon_log_sources(categories: Iterable[str]) -> dict[LogSourceKey, LinuxLogSource]:
    """Return the log sources of Sysmon for Linux: its *categories*, the service, and Linux as such."""
    served: dict[LogSourceKey, LinuxLogSource] = {
        key: LinuxLogSource(category, category)
        for category in categories
        for key in product((category,), _PRODUCTS, (None, "sysmon"))
    }
    served[None, "linux", "sysmon"] = LinuxLogSource("sysmon", "any")
    served[None, "linux", None] = LinuxLogSource("linux", "any")
    return served


def _list_log_sources() -> Iterator[tuple[LinuxLogSource, Iterable[LogSourceKey]]]:
    for category in _CATEGORIES:
        yield LinuxLogSource(category, category), product((category,), _PRODUCTS, _RECORDERS)
    yield LinuxLogSource("auditd", "auditd"), product((None,), _PRODUCTS, ("auditd",))
    for service in _SERVICE_NAMES:
        if service not in ("auditd", *_WEB_SERVERS):
            table = "sudo_line" if service in _WITH_SUDO else "log_line"
            yield LinuxLogSource(service, table), product((None,), _PRODUCTS, _spellings(service))
    for server in _WEB_SERVERS:
        yield LinuxLogSource(server, "web_log"), product((None,), (*_PRODUCTS, server), _spellings(server))
        yield LinuxLogSource(server, "web_log"), product((None,), (server,), (None, "error"))
    access_log = LinuxLogSource("webserver", "webserver")
    spellings = tuple(spelling for server in _WEB_SERVERS for spelling in _spellings(server))
    yield access_log, product(("webserver",), (*_PRODUCTS, *_WEB_SERVERS), (None, "access", *spellings))
    yield access_log, product((None,), _WEB_SERVERS, ("access",))
    yield LinuxLogSource("linux", "any"), [(None, "linux", None)]


def _spellings(service: str) -> tuple[str, ...]:
    return (service, *_SERVICE_ALIASES.get(service, ()))


_WEB_SERVERS = tuple(name for name, service in SERVICES.items() if service.access_log)
_SERVICE_NAMES = ("auditd", "syslog", *SERVICES)
LINUX_LOG_SOURCES: Mapping[LogSourceKey, LinuxLogSource] = {
    key: log_source for log_source, keys in _list_log_sources() for key in keys
}
