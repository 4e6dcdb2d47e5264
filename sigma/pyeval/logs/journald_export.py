"""The journal export format (systemd's JOURNAL_EXPORT_FORMATS): entries of lines and counted bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.journald import entry_records
from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode

MAX_FIELD_BYTES = 16 << 20
MAX_ENTRY_BYTES = 64 << 20

_LENGTH_BYTES = 8


class JournalExportParser(Parser):
    """Lines of ``journalctl -o export`` to the records that the JSON of the same entries gives; ``Parser``.

    Lines must come as they are, without their newline only: a counted field may hold newlines and carriage
    returns. A record's line is the first of its entry. What does not fit the format is a problem, and the
    rest of the entry is still read; an entry beyond ``MAX_ENTRY_BYTES`` and a field beyond
    ``MAX_FIELD_BYTES`` are cut, which is a problem.

    Args:
        audit: A parser of auditd lines, which then gets the entries of ``_TRANSPORT=audit`` as such lines.
    """

    def __init__(self, audit: Parser | None = None) -> None:
        self._audit = audit
        self._entry: dict[str, Any] = {}
        self._first_line = 0
        self._size = 0
        self._counted: _CountedField | None = None

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of the entry that ends on this line, and the problems of the line."""
        if self._counted is not None:
            return self._continue_counted(raw)
        if not raw:
            return self._finish_entry()
        if not self._first_line:
            self._first_line = line
        name, equals, value = raw.partition(b"=")
        if not _is_field_name(name):
            return [Problem.at(line, "no field of a journal entry", raw)]
        if equals:
            return self._add(line, name, value)
        self._counted = _CountedField(name, line)
        return ()

    def flush(self) -> Iterable[Record | Problem]:
        """Return the last entry and what the audit parser still holds."""
        found: list[Record | Problem] = []
        if self._counted is not None:
            found.append(Problem.at(self._counted.line, "the log ends within this field", self._counted.name))
            self._counted = None
        found += self._finish_entry()
        if self._audit is not None:
            found += self._audit.flush()
        return found

    def held_from(self) -> int | None:
        """Return the first line of the entry that is being read, or what the audit parser holds back before it."""
        held = self._audit.held_from() if self._audit is not None else None
        return min(filter(None, (self._first_line, held)), default=None)

    def _finish_entry(self) -> Iterable[Record | Problem]:
        entry, line = self._entry, self._first_line
        self._entry, self._first_line, self._size = {}, 0, 0
        return entry_records(line, entry, self._audit) if entry else ()

    def _continue_counted(self, raw: bytes) -> Iterable[Record | Problem]:
        field = self._counted
        assert field is not None  # noqa: S101 (asked by the caller)
        field.append(raw)
        if not field.complete:
            return ()
        self._counted = None
        if field.problem is not None:
            problem = Problem.at(field.line, field.problem, field.name)
            return [problem, *self._add(field.line, field.name, field.value)]
        return self._add(field.line, field.name, field.value)

    def _add(self, line: int, raw_name: bytes, raw_value: bytes) -> Iterable[Record | Problem]:
        self._size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("ascii"), decode(raw_value)
        if self._size > MAX_ENTRY_BYTES:
            return [Problem.at(line, f"field left out: the entry is longer than {MAX_ENTRY_BYTES} bytes", raw_name)]
        present = self._entry.get(name)
        if present is None:
            self._entry[name] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            self._entry[name] = [present, value]
        return ()


class _CountedField:
    """A field written as its name on a line, 8 bytes of length (little endian), its bytes and a newline.

    Attributes:
        problem: What is wrong with the field once it is complete.
    """

    def __init__(self, name: bytes, line: int) -> None:
        self.name, self.line = name, line
        self.complete = False
        self.problem: str | None = None
        self._parts: list[bytes] = []
        self._kept = self._seen = 0
        self._length: int | None = None

    @property
    def value(self) -> bytes:
        """The field's bytes, at most ``MAX_FIELD_BYTES``."""
        return b"\n".join(self._parts)[_LENGTH_BYTES : _LENGTH_BYTES + min(self._length or 0, MAX_FIELD_BYTES)]

    def append(self, raw: bytes) -> None:
        """Take the bytes up to the next newline; the newline belongs to the field unless it is complete."""
        if self._seen:
            self._seen += 1
        elif self._parts:
            self._seen = 1
        self._seen += len(raw)
        if self._kept <= MAX_FIELD_BYTES:
            self._parts.append(raw)
            self._kept += len(raw) + 1
        if self._length is None and self._seen >= _LENGTH_BYTES:
            self._length = int.from_bytes(b"\n".join(self._parts)[:_LENGTH_BYTES], "little")
        if self._length is not None and self._seen >= _LENGTH_BYTES + self._length:
            self.complete = True
            if self._seen > _LENGTH_BYTES + self._length:
                self.problem = "the field is longer than its length says"
            elif self._length > MAX_FIELD_BYTES:
                self.problem = f"field cut at {MAX_FIELD_BYTES} bytes of {self._length}"


def _is_field_name(name: bytes) -> bool:
    return 0 < len(name) <= 255 and name.isascii() and name.replace(b"_", b"").isalnum()
