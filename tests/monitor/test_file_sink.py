"""The file sink: whole lines whatever happens to the disk, the file and its name."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import SendError
from sigma.pyeval.monitor.sinks import file as file_sink
from sigma.pyeval.monitor.sinks.file import FileSink, FileSinkSettings


def sink(path: Path | str, **settings: Any) -> FileSink:
    return FileSink(FileSinkSettings(type="file", path=str(path), **settings))


def send(to: FileSink, *ids: Any) -> None:
    asyncio.run(to.send([{"id": one} for one in ids]))


def ids(path: Path) -> list[Any]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines() if line]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the sink writes."""
    return tmp_path / "alerts.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[FileSink]:
    """Return a sink that is closed behind the test."""
    made = sink(path)
    yield made
    asyncio.run(made.close())


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond *size*, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights where there are some."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_alerts_are_lines_of_json_for_the_owner_alone(opened: FileSink, path: Path) -> None:
    """One line an alert, in order, behind what is there; the mode is 0600 whatever the umask."""
    before = os.umask(0)
    try:
        send(opened, 1, "two\nlines")
    finally:
        os.umask(before)
    send(opened, 3)
    assert path.read_bytes() == b'{"id":1}\n{"id":"two\\nlines"}\n{"id":3}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("fsync", [True, False])
def test_what_is_there_is_kept(path: Path, fsync: bool) -> None:
    """A file of an earlier run is appended to, with its mode."""
    path.write_bytes(b'{"id":1}\n')
    path.chmod(0o640)
    made = sink(path, fsync=fsync)
    send(made, 2)
    asyncio.run(made.close())
    assert ids(path) == [1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_torn_line_is_ended_first(opened: FileSink, path: Path) -> None:
    """What a crash left of a line does not swallow the next alert."""
    path.write_bytes(b'{"id":1}\n{"id"')
    send(opened, 2)
    assert path.read_bytes() == b'{"id":1}\n{"id"\n{"id":2}\n'


def test_rename_and_deletion_are_noticed(opened: FileSink, path: Path) -> None:
    """Rotation without a signal loses nothing: the name's new file is made, or used where there is one."""
    send(opened, 1)
    path.rename(path.with_suffix(".1"))
    send(opened, 2)
    path.unlink()
    path.touch(mode=0o600)
    send(opened, 3)
    path.unlink()
    send(opened, 4)
    assert ids(path.with_suffix(".1")) == [1]
    assert ids(path) == [4]


def test_truncation_leaves_no_hole(opened: FileSink, path: Path) -> None:
    """After copytruncate the next line stands at the beginning."""
    send(opened, 1)
    os.truncate(path, 0)
    send(opened, 2)
    assert path.read_bytes() == b'{"id":2}\n'


def test_reopen_opens_what_has_the_name(opened: FileSink, path: Path) -> None:
    """SIGHUP closes the file; so does the end, and both twice do no harm."""
    asyncio.run(opened.reopen())
    send(opened, 1)
    path.rename(path.with_suffix(".1"))
    asyncio.run(opened.reopen())
    asyncio.run(opened.reopen())
    send(opened, 2)
    assert (ids(path.with_suffix(".1")), ids(path)) == ([1], [2])


def test_a_full_disk_leaves_no_half_line(opened: FileSink, path: Path) -> None:
    """What could be written of the alerts is taken back; they are written once when there is room."""
    send(opened, 1)
    size = path.stat().st_size
    with at_most(size + 13), pytest.raises(SendError, match=r"alerts\.jsonl"):
        send(opened, 2, 3, 4)
    assert path.stat().st_size == size
    send(opened, 2, 3, 4)
    assert ids(path) == [1, 2, 3, 4]


def test_a_full_device_refuses() -> None:
    """The reason is the system's."""
    made = sink("/dev/full")
    with pytest.raises(SendError, match="No space left on device"):
        send(made, 1)
    asyncio.run(made.close())


def test_what_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    """No folder, no right to write: the alerts wait until there is one."""
    folder = tmp_path / "logs"
    made = sink(folder / "alerts")
    with pytest.raises(SendError, match="No such file or directory"):
        send(made, 1)
    folder.mkdir()
    send(made, 1)
    assert ids(folder / "alerts") == [1]
    asyncio.run(made.close())


def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    """It is told, with the file's name escaped."""
    os.chmod(tmp_path.parent, 0o755)
    os.chmod(tmp_path, 0o555)
    made = sink(tmp_path / "a\x1b[31m")
    with as_nobody(), pytest.raises(SendError) as caught:
        send(made, 1)
    os.chmod(tmp_path, 0o755)
    assert "ermission denied" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_symbolic_link_is_not_followed(opened: FileSink, path: Path, tmp_path: Path) -> None:
    """Who may write to the folder cannot have alerts appended to a file of their choice."""
    (tmp_path / "other").touch()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(SendError, match="symbolic link"):
        send(opened, 1)
    assert (tmp_path / "other").read_bytes() == b""


def test_a_link_put_in_place_of_the_file_is_not_followed(opened: FileSink, path: Path, tmp_path: Path) -> None:
    """Not even where it leads to the file that is open."""
    send(opened, 1)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(SendError, match="symbolic link"):
        send(opened, 2)


def test_a_named_pipe_is_refused_without_waiting(opened: FileSink, path: Path) -> None:
    """Opening it does not wait for a reader."""
    os.mkfifo(path)
    with pytest.raises(SendError, match="neither a file nor a device"):
        send(opened, 1)


def test_a_lock_that_stays_is_told(opened: FileSink, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the file does not hold up the service."""
    monkeypatch.setattr(file_sink, "LOCK_SECONDS", 0.05)
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SendError, match="locked by another process"):
            send(opened, 1)
        fcntl.flock(other, fcntl.LOCK_UN)
        send(opened, 1)
    assert ids(path) == [1]


def test_lines_of_a_file_deleted_meanwhile_are_not_delivered(path: Path) -> None:
    """They went where nobody finds them: they are sent again, to the name's new file."""
    with path.open("w+b") as file:
        path.unlink()
        with pytest.raises(OSError, match="deleted while it was written to"):
            file_sink._append_whole(file.fileno(), b"{}\n", fsync=False)


def test_two_processes_write_whole_lines(path: Path) -> None:
    """Lines of two services with one file do not mix, and each stands there once."""
    script = (
        "import asyncio, sys\n"
        "from sigma.pyeval.monitor.sinks.file import FileSink, FileSinkSettings\n"
        "async def main():\n"
        "    sink = FileSink(FileSinkSettings(type='file', path=sys.argv[1], fsync=False))\n"
        "    for number in range(50):\n"
        "        await sink.send([{'id': f'{sys.argv[2]}-{number}', 'text': 'x' * 20_000}] * 2)\n"
        "    await sink.close()\n"
        "asyncio.run(main())\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in "ab"]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    found = ids(path)
    assert len(found) == 200
    assert [one for one in found if one.startswith("a")] == [f"a-{n}" for n in range(50) for _ in range(2)]


def test_a_send_that_is_cancelled_does_not_meet_the_next(opened: FileSink, path: Path) -> None:
    """The first goes on in its thread, the second waits for it; every line is whole."""

    async def run() -> None:
        first = asyncio.create_task(opened.send([{"id": 1, "text": "x" * 5_000_000}]))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await opened.send([{"id": 2}])
        await opened.close()

    asyncio.run(run())
    assert set(ids(path)) <= {1, 2}
    assert 2 in ids(path)


@pytest.mark.parametrize("wrong", ["", "folder/", "a\0b"])
def test_a_path_that_is_none_is_told_at_start(wrong: str) -> None:
    """A mistake in the configuration is seen before anything runs."""
    with pytest.raises(ValidationError, match="no path of a file"):
        sink(wrong)
