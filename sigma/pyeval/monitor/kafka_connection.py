"""How Kafka brokers are reached: the settings that the source and the sink have in common, in aiokafka's words."""

from __future__ import annotations

import logging
import re
import ssl
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, FilePath, SecretStr, model_validator

from sigma.pyeval.output import printable

from .batches import PartError
from .journal import Throttle
from .settings import Settings

_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/,@]+):(\d{1,5})")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ADDRESS = re.compile(r"\('([^']*)', (\d+), <AddressFamily\.\w+: \d+>\)")
"""A broker as aiokafka's errors write it."""

_HIGHEST_PORT: Final = 65_535


class AiokafkaMissingError(PartError, ImportError):
    """The library that speaks Kafka's protocol is not installed; the message says how to."""


def require_aiokafka() -> None:
    """Look whether aiokafka is there, without importing it.

    Raises:
        AiokafkaMissingError: It is not.
    """
    if find_spec("aiokafka") is None:
        raise AiokafkaMissingError("kafka needs aiokafka: pip install 'pySigma-backend-pyeval[kafka]'")


def _broker(value: str) -> str:
    found = _BROKER.fullmatch(value)
    if found is None or not 0 < int(found[1]) <= _HIGHEST_PORT:
        raise ValueError("a broker is written as host:port, an IPv6 address in brackets")
    return value


def _topic(value: str) -> str:
    if _TOPIC.fullmatch(value) is None or value in {".", ".."}:
        raise ValueError("a topic's name is made of letters, digits, '.', '_' and '-', at most 249 of them")
    return value


Broker = Annotated[str, AfterValidator(_broker)]
Topic = Annotated[str, AfterValidator(_topic)]


class KafkaTls(Settings):
    """TLS to the brokers; ``tls: {}`` is enough where the system knows their authority. Names are always checked."""

    ca: FilePath | None = None
    """Certificates (PEM) of the authorities that sign those of the brokers; the system's unless given."""

    cert: FilePath | None = None
    """The client's certificate and its chain (PEM), where brokers ask for one."""

    key: FilePath | None = None
    """The private key of ``cert`` (PEM); looked for in the same file unless given."""

    key_password: SecretStr | None = None
    """What the private key is encrypted with."""

    def context(self) -> ssl.SSLContext:
        """Return a context of these files, read anew.

        Raises:
            OSError: A file cannot be read or used; ``ssl.SSLError`` is one.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            # Without any password OpenSSL asks the terminal for one.
            password = "" if self.key_password is None else self.key_password.get_secret_value()
            context.load_cert_chain(self.cert, self.key, password)
        return context

    @model_validator(mode="after")
    def _usable(self) -> KafkaTls:
        if self.cert is None and (self.key is not None or self.key_password is not None):
            raise ValueError("a key without 'cert'")
        try:
            self.context()
        except OSError as error:
            raise ValueError(f"the certificates cannot be used: {error}") from None
        return self


class KafkaSasl(Settings):
    """Login at the brokers."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """PLAIN shows the password to whoever listens, so it needs ``tls``."""

    username: str = Field(min_length=1)
    """Who logs in."""

    password: SecretStr
    """The password; never logged."""


class KafkaConnection(Settings):
    """Where the brokers are and how they are spoken to."""

    brokers: tuple[Broker, ...] = Field(min_length=1)
    """Some of the cluster's brokers, as ``host:port``; the others are learned from them."""

    client_id: str = Field(default="sigma-pyeval", min_length=1, max_length=249, pattern=r"\A[\w.-]+\z")
    """What the brokers' logs and quotas call this client."""

    tls: KafkaTls | None = None
    """TLS; unencrypted unless given."""

    sasl: KafkaSasl | None = None
    """Login; none unless given."""

    @model_validator(mode="after")
    def _password_hidden(self) -> KafkaConnection:
        if self.sasl is not None and self.sasl.mechanism == "PLAIN" and self.tls is None:
            raise ValueError("sasl.mechanism PLAIN would send the password unencrypted; set 'tls', or use SCRAM")
        return self


def client_options(connection: KafkaConnection) -> dict[str, Any]:
    """Return what every client of aiokafka is created with; certificates are read now."""
    protocol = "SASL_" if connection.sasl is not None else ""
    options: dict[str, Any] = {
        "bootstrap_servers": list(connection.brokers),
        "client_id": connection.client_id,
        "security_protocol": protocol + ("PLAINTEXT" if connection.tls is None else "SSL"),
    }
    if connection.tls is not None:
        options["ssl_context"] = connection.tls.context()
    if connection.sasl is not None:
        options["sasl_mechanism"] = connection.sasl.mechanism
        options["sasl_plain_username"] = connection.sasl.username
        options["sasl_plain_password"] = connection.sasl.password.get_secret_value()
    return options


def in_words(error: BaseException) -> str:
    """Return what *error* says, on one line and free of control characters; its kind where it says nothing.

    Brokers are written as in the configuration.
    """
    text = _ADDRESS.sub(r"\1:\2", str(error).strip())
    kind = type(error).__name__
    return printable(text if kind in text or not text else f"{kind}: {text}") or kind


class ClientLog(logging.Handler):
    """Passes on what aiokafka logs, from warnings up: a few lines a minute, as it repeats itself many times a second.

    aiokafka says there alone why a broker cannot be reached or a login was refused.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._throttle = Throttle("kafka client")

    def emit(self, record: logging.LogRecord) -> None:
        """Log one message, with what the exception says where there is one, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        self._throttle.warning(record.getMessage() + ("" if error is None else f": {in_words(error)}"))

    def attach(self) -> None:
        """Take the place of whatever would write aiokafka's log otherwise; again makes no difference."""
        logger = logging.getLogger("aiokafka")
        logger.handlers[:] = [self]
        logger.propagate = False

    def finish(self) -> None:
        """Say how much was not shown."""
        self._throttle.end_period()


CLIENT_LOG: Final = ClientLog()
"""The one of this process: aiokafka's clients do not say which of them logs."""
