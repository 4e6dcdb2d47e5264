"""The SQLite file behind the store: its tables, older ones brought up to date, and bounded transactions."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 3
"""Version of the tables; a file of an older one is brought up to date, one of a newer one is refused."""

PAGE_BYTES: Final = 4096

_TABLES = """
CREATE TABLE checkpoints (source TEXT, stream TEXT, state BLOB NOT NULL, PRIMARY KEY (source, stream)) WITHOUT ROWID;
CREATE TABLE alerts (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, waiting INTEGER NOT NULL, id TEXT);
CREATE TABLE known (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, stream TEXT, id TEXT, UNIQUE (source, stream, id));
"""

_SINCE_2 = """
CREATE INDEX alerts_by_id ON alerts (id);
CREATE INDEX alerts_delivered ON alerts (number) WHERE waiting = 0;
CREATE TABLE pending (sink TEXT, due REAL, number INTEGER, PRIMARY KEY (sink, due, number)) WITHOUT ROWID;
CREATE INDEX pending_later ON pending (number) WHERE due > 0;
CREATE TABLE acknowledgements (change INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER UNIQUE, at REAL, by TEXT);
CREATE TRIGGER alert_forgotten AFTER DELETE ON alerts BEGIN DELETE FROM acknowledgements WHERE number = old.number; END;
CREATE TABLE exception_hits (name TEXT PRIMARY KEY, hits INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE windows (
  entry TEXT, key BLOB, began REAL NOT NULL, ends REAL NOT NULL, passed INTEGER NOT NULL, suppressed INTEGER NOT NULL,
  rule TEXT NOT NULL, PRIMARY KEY (entry, key)
) WITHOUT ROWID;
CREATE INDEX windows_ending ON windows (ends);
"""

_SINCE_3 = """
CREATE TABLE correlation_state (one INTEGER PRIMARY KEY CHECK (one = 1), state BLOB NOT NULL);
CREATE TABLE observed (number INTEGER PRIMARY KEY AUTOINCREMENT, observation BLOB NOT NULL);
CREATE TABLE observed_ids (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, id TEXT, UNIQUE (source, id));
"""

_TO_2 = """
ALTER TABLE alerts ADD COLUMN id TEXT;
UPDATE alerts SET id = json_extract(CAST(body AS TEXT), '$.id');
ALTER TABLE pending RENAME TO pending_1;
"""
_FROM_1 = """
INSERT INTO pending (sink, due, number) SELECT sink, 0, number FROM pending_1;
DROP TABLE pending_1;
"""
_SCRIPTS = {0: _TABLES + _SINCE_2 + _SINCE_3, 1: _TO_2 + _SINCE_2 + _FROM_1 + _SINCE_3, 2: _SINCE_3}


class StoreError(Exception):
    """The file cannot be used; the message says which, why and what to do."""


class StoreFull(Exception):
    """There is no room for an alert until sinks have taken others; the transaction was undone."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file at *path* for this process alone; make it, with mode 0600, where it is not there.

    Raises:
        StoreError: It cannot be opened, is of another version, damaged, or used by another process.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: cannot be opened: {error}; check the setting 'state'") from error
    try:
        # Exclusive: a second service on the same state would deliver and skip what is not its own.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN EXCLUSIVE")
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        _bring_up_to_date(database, version)
        database.execute("COMMIT")
    except sqlite3.Error as error:
        database.close()
        raise StoreError(f"{path}: {_reason(error)}") from error
    if version > FORMAT:
        database.close()
        raise StoreError(f"{path}: written by another version (format {version}); name another 'state'")
    return database


def _bring_up_to_date(database: sqlite3.Connection, version: int) -> None:
    """Make the tables, or those that an older version lacks; part of the caller's transaction."""
    script = _SCRIPTS.get(version, "")
    statement = ""
    for part in script.splitlines(keepends=True):
        statement += part
        if sqlite3.complete_statement(statement):  # a trigger has semicolons of its own
            database.execute(statement)
            statement = ""
    if script:
        database.execute(f"PRAGMA user_version = {FORMAT}")


def _reason(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return "another process uses it; is the service running already?"
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return "its disk is full; make room"
    return f"damaged or no state: {error}"


class Transaction:
    """One transaction within a bound of pages; undone where anything fails.

    Durable ones are on disk when they end (``synchronous = FULL``), also if the machine loses power. The others are when
    the next durable one is: a process that is killed loses neither.

    Raises:
        StoreFull: There was no room, within the bound or on the disk.
    """

    def __init__(self, database: sqlite3.Connection, pages: int, *, durable: bool) -> None:
        self._database = database
        self._pages = pages
        self._durable = durable

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute(f"PRAGMA max_page_count = {self._pages}")
        self._database.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                self._database.execute("COMMIT")
                return
        except sqlite3.Error as failure:
            error = failure
        if self._database.in_transaction:  # SQLite itself undoes one that met a full disk
            self._database.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StoreFull from error
        if kind is None and error is not None:
            raise error
