"""Every kind of source and sink by the name that the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Protocol, runtime_checkable

from pydantic import Field
from starlette.routing import BaseRoute

from .batches import Sink, Source
from .settings import SinkSettings, SourceSettings
from .sinks.email import EmailSettings, EmailSink
from .sinks.file import FileSink, FileSinkSettings
from .sinks.kafka import KafkaSink, KafkaSinkSettings
from .sinks.stdout import StdoutSettings, StdoutSink
from .sinks.syslog import SyslogSink, SyslogSinkSettings
from .sinks.webhook import WebhookSettings, WebhookSink
from .sources.file import FileSource, FileSourceSettings
from .sources.http import HttpSettings, HttpSource
from .sources.journald import JournaldSettings, JournaldSource
from .sources.kafka import KafkaSource, KafkaSourceSettings
from .sources.stdin import StdinSettings, StdinSource
from .sources.syslog import SyslogSource, SyslogSourceSettings
from .sources.websocket import WebSocketSettings, WebSocketSource

SOURCES: Final[dict[str, tuple[type[SourceSettings], Callable[[Any], Source]]]] = {
    "file": (FileSourceSettings, FileSource),
    "http": (HttpSettings, HttpSource),
    "journald": (JournaldSettings, JournaldSource),
    "kafka": (KafkaSourceSettings, KafkaSource),
    "stdin": (StdinSettings, StdinSource),
    "syslog": (SyslogSourceSettings, SyslogSource),
    "websocket": (WebSocketSettings, WebSocketSource),
}
SINKS: Final[dict[str, tuple[type[SinkSettings], Callable[[Any], Sink]]]] = {
    "email": (EmailSettings, EmailSink),
    "file": (FileSinkSettings, FileSink),
    "kafka": (KafkaSinkSettings, KafkaSink),
    "stdout": (StdoutSettings, StdoutSink),
    "syslog": (SyslogSinkSettings, SyslogSink),
    "webhook": (WebhookSettings, WebhookSink),
}

AnySource = Annotated[
    FileSourceSettings
    | HttpSettings
    | JournaldSettings
    | KafkaSourceSettings
    | StdinSettings
    | SyslogSourceSettings
    | WebSocketSettings,
    Field(discriminator="type"),
]
AnySink = Annotated[
    EmailSettings | FileSinkSettings | KafkaSinkSettings | StdoutSettings | SyslogSinkSettings | WebhookSettings,
    Field(discriminator="type"),
]


@runtime_checkable
class Served(Protocol):
    """A source that is reached through the service's own server."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return its routes."""


def create_source(settings: Any) -> Source:
    """Return the source that *settings* are for."""
    return SOURCES[settings.type][1](settings)


def create_sink(settings: Any) -> Sink:
    """Return the sink that *settings* are for."""
    return SINKS[settings.type][1](settings)
