"""Log formats: pure parsers from lines of bytes to events; see docs/logs.md and docs/auditd.md."""
