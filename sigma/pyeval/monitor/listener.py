"""The server's listening socket: how many connections there are, counted before a byte of them is read."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from .journal import Throttle


class BoundedListener(socket.socket):
    """Closes connections that are beyond a number as it accepts them.

    ``BoundedHttp`` counts those that speak HTTP and answers the others; a connection that has not ended its TLS handshake is
    no connection to it, but has a file descriptor like every other.

    Attributes:
        most: So many connections at the same time, whatever state they are in; set it before the first is accepted.
        refused: Logs those that are closed.
    """

    most: int
    refused: Throttle

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._connections: set[socket.socket] = set()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection there is room for; raises as ``socket.accept`` where there is none."""
        while True:
            connection, address = super().accept()
            if len(self._connections) >= self.most:
                self._connections = {one for one in self._connections if one.fileno() != -1}
            if len(self._connections) < self.most:
                self._connections.add(connection)
                return connection, address
            self.refused.warning(f"a connection was closed: there are {self.most}, see max_connections")
            with contextlib.suppress(OSError):  # the other side may have gone
                connection.close()
