"""Syslog messages that come one in a datagram, by UDP (RFC 5426) or a Unix socket as /dev/log is."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import Field

from ..settings import Settings
from .addresses import bind
from .reception import BATCH_LINES, LINGER, Gathering, Reception
from .senders import SILENCE, SenderStream

MAX_DATAGRAM_BYTES: Final = 64 * 1024
"""What IP lets one datagram be; those of a Unix socket may be longer."""

LAST_READ: Final = 1.0
"""Seconds at the end in which what the kernel still holds is read."""

_TRAILERS: Final = b"\n\r\0"
"""What senders put behind a message though a datagram needs no end, as some formats of rsyslog do."""

_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
"""Of include/uapi/asm-generic/socket.h; Python does not name them."""

_SK_MEMINFO_DROPS: Final = 8
_U32: Final = 0xFFFF_FFFF


class UnixListener(Settings):
    """A datagram socket in the file system."""

    path: Path
    """Where it is; one that is left over from an earlier run is replaced."""

    mode: str = Field(default="0600", pattern="^0[0-7]{3}$")
    """Permissions, octal; who may write to it may log (``0666`` as /dev/log)."""


class KernelDrops:
    """Datagrams that the kernel threw away since the last question, since the socket's buffer was full (Linux only)."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._known = 0
        self._tells = sys.platform == "linux" and sock.family != socket.AF_UNIX  # a Unix socket lets its peer wait

    def since(self) -> int:
        """Return how many were dropped since this was last called; ``sk_drops`` of the kernel, which counts in 32 bits."""
        if not self._tells:
            return 0
        values = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_SK_MEMINFO_DROPS + 1))
        (drops,) = struct.unpack_from("=I", values, 4 * _SK_MEMINFO_DROPS)
        dropped, self._known = (drops - self._known) & _U32, drops
        return int(dropped)


class DatagramListener:
    """Reads one socket. Where detection is behind, datagrams wait in the kernel's buffer; what it drops is counted.

    Args:
        reception: Where messages go.
        name: ``udp`` or ``unix``.
        sock: The bound socket; whoever made it closes it.
        max_message_bytes: Longer messages are cut.
        max_senders: So many senders have a parser; then the one that was silent for longest loses its own.
    """

    def __init__(
        self,
        reception: Reception,
        name: str,
        sock: socket.socket,
        max_message_bytes: int,
        max_senders: int,
    ) -> None:
        self._reception = reception
        self._name = name
        self._sock = sock
        self._limit = max_message_bytes
        self._most = max_senders
        self._buffer = bytearray(max(MAX_DATAGRAM_BYTES, max_message_bytes) + 1)
        self._senders: OrderedDict[str, SenderStream] = OrderedDict()
        self._drops = KernelDrops(sock)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._stopping = False

    def start(self, group: asyncio.TaskGroup) -> None:
        """Read in a task of *group*, which ends some time after ``stop``."""
        group.create_task(self._run())

    def stop(self) -> None:
        """Read what the kernel still holds, and end."""
        self._stopping = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _run(self) -> None:
        """Read until stopped; then read what the kernel still holds, and give out what parsers hold back."""
        while not self._stopping:
            await self._readable(SILENCE)
            await self._put(await self._gathered())
        end = time.monotonic() + LAST_READ
        while time.monotonic() < end:
            gathering = self._gathering()
            if not self._read(gathering):
                break
            await self._put(gathering)
        await self._put(self._rest())

    def _gathering(self) -> Gathering:
        return Gathering(self._reception, self._name, self._limit)

    async def _readable(self, seconds: float) -> bool:
        """Return whether there may be something to read; after *seconds*, there is not."""
        self._waiter = waiter = self._loop.create_future()
        self._loop.add_reader(self._sock, _set, waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(self._sock)
        return True

    async def _gathered(self) -> Gathering:
        """Return what comes within a moment, and what the parsers of senders that fell silent held back."""
        gathering = self._gathering()
        end = time.monotonic() + LINGER
        found = self._read(gathering)
        while found and not self._stopping and gathering.lines < BATCH_LINES and (left := end - time.monotonic()) > 0:
            if await self._readable(left):
                self._read(gathering)
        now = time.monotonic()
        for sender in self._reception.held.senders:
            if self._senders.get(sender.address) is sender and (due := sender.due()) is not None and due <= now:
                sender.pause()
                gathering.collect(sender)
        return gathering

    def _read(self, gathering: Gathering) -> bool:
        """Read what is there, up to a batch; return whether there was something."""
        refused = 0
        before = gathering.lines
        while gathering.lines + refused < BATCH_LINES:
            try:
                size, address = self._sock.recvfrom_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                break
            sender = self._reception.allowed.sender(address[0]) if self._name == "udp" else "local"
            if sender is None:
                refused += 1
            else:
                message = bytes(memoryview(self._buffer)[:size]).rstrip(_TRAILERS)
                gathering.add(self._stream(sender, gathering), message)
        if refused:
            self._reception.intake.dropped(refused, f"{self._name}: datagrams of senders that are not allowed")
        return gathering.lines > before or refused > 0

    def _stream(self, address: str, gathering: Gathering) -> SenderStream:
        sender = self._senders.get(address)
        if sender is None:
            sender = self._senders[address] = self._reception.sender(address)
            if len(self._senders) > self._most:
                _, silent = self._senders.popitem(last=False)
                silent.pause()
                gathering.collect(silent)
        else:
            self._senders.move_to_end(address)
        return sender

    def _rest(self) -> Gathering:
        """Return what the parsers hold back."""
        gathering = self._gathering()
        for sender in self._senders.values():
            sender.pause()
            gathering.collect(sender)
        return gathering

    async def _put(self, gathering: Gathering) -> None:
        if (dropped := self._drops.since()) > 0:
            self._reception.intake.dropped(dropped, f"{self._name}: dropped by the kernel, its buffer was full")
        if (batch := gathering.batch()) is not None:
            await self._reception.intake.put(batch)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def widen_buffer(sock: socket.socket, size: int, tell: Callable[[str], None]) -> None:
    """Ask for a receive buffer of *size* bytes, and *tell* if there is less; beyond net.core.rmem_max only root gets it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE if sys.platform == "linux" else socket.SO_RCVBUF, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // (2 if sys.platform == "linux" else 1)  # socket(7)
    if granted < size:
        tell(f"the kernel gives a receive buffer of {granted} bytes, not {size}; raise net.core.rmem_max")


def bound_unix_socket(settings: UnixListener) -> socket.socket:
    """Return a datagram socket at the path, in place of one that nobody reads any more.

    Raises:
        OSError: It cannot be bound; ``EADDRINUSE`` if someone reads there, or something else has the path.
    """
    path = settings.path
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        if _is_left_over(path):
            path.unlink()
        bind(sock, os.fspath(path), str(path))
        path.chmod(int(settings.mode, 8))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_left_over(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
    return False
