"""Log files rotated again and again while they are written and read: every line is seen, at one place, whenever reading restarts."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources.file import FileSource, FileSourceSettings

from ..monitor.intake import KeptIntake

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))
"""How often each storm is tried; more of them by hand."""

LINES = int(os.environ.get("STORM_LINES", "6000"))

WRITER = r"""
import gzip, os, random, shutil, sys, time
path, count, seed, rotation = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance = random.Random(seed)
number = 0

def line():
    global number
    number += 1
    return b"Nov 22 03:00:00 host prog[7]: n=%d %s\n" % (number - 1, b"x" * chance.randint(0, 200))

def write(file, lines):
    text = b"".join(line() for _ in range(min(lines, count - number)))
    cut = chance.randint(0, len(text))  # half lines are seen between two writes
    file.write(text[:cut])
    if chance.random() < 0.2:
        time.sleep(0.002)
    file.write(text[cut:])

def pack(name):
    with open(name, "rb") as plain, gzip.open(name + ".gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    if chance.random() < 0.5:  # as gzip(1) does, and as other programs don't
        found = os.stat(name)
        os.utime(name + ".gz", ns=(found.st_atime_ns, found.st_mtime_ns))
    os.unlink(name)

def shift():
    for n in range(400, 0, -1):
        for ending in ("", ".gz"):
            if os.path.exists(f"{path}.{n}{ending}"):
                os.rename(f"{path}.{n}{ending}", f"{path}.{n + 1}{ending}")

def rotate(file):
    shift()
    if rotation == "rename":
        os.rename(path, path + ".1")
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.05)
        new = open(path, "ab", buffering=0)
        if chance.random() < 0.5:  # the writer opens its file anew a little later
            write(file, 3)
        if chance.random() < 0.3:
            time.sleep(chance.random() * 0.05)
            write(file, 3)
        file.close()
        file = new
    else:
        shutil.copyfile(path, path + ".1")
        time.sleep(chance.random() * 0.05)  # writing has stopped: what came now would be lost to every reader
        os.truncate(path, 0)
    if os.path.exists(path + ".2"):
        pack(path + ".2")
    return file

file = open(path, "ab", buffering=0)
while number < count:
    write(file, chance.randint(1, 60))
    if chance.random() < 0.3:
        time.sleep(chance.random() * 0.01)
    if chance.random() < 0.12:
        file = rotate(file)
file.close()
"""


class Watched:
    """What a source brings over its restarts: the places of each numbered line."""

    def __init__(self, path: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.settings = FileSourceSettings(
            type="file", paths=[f"{path}*"], format="syslog", start="beginning", poll=0.05, grace=0.05
        )
        self.places: dict[int, set[str]] = defaultdict(set)
        self.order: list[int] = []
        self.told: list[str] = []
        self.checkpoints: dict[str, str] = {}

    async def run_once(self, seconds: float) -> None:
        """Read for a while, then crash or stop; checkpoints are those of some batches before, or the last ones.

        A stream's first checkpoint is always kept, as the store writes it at once.
        """
        intake = KeptIntake({stream: json.loads(kept) for stream, kept in self.checkpoints.items()})
        task = asyncio.create_task(FileSource(self.settings).run(intake))
        done, _ = await asyncio.wait([task], timeout=seconds)
        assert not done, task.exception()
        if self.chance.random() < 0.5:
            task.cancel()
            await asyncio.wait([task])
            kept = self.chance.randint(0, len(intake.batches))
        else:
            intake.stopping.set()
            await asyncio.wait_for(task, 5)
            kept = len(intake.batches)
        for number, batch in enumerate(intake.batches):
            for record in batch.records:
                found = re.search(r"n=(\d+) ", record.event["MESSAGE"])
                assert found is not None, record.event
                self.places[int(found[1])].add(json.dumps(batch.place(record)))
                self.order.append(int(found[1]))
            assert not batch.problems
            if batch.checkpoint is not None and (number < kept or batch.checkpoint.stream not in self.checkpoints):
                self.checkpoints[batch.checkpoint.stream] = json.dumps(batch.checkpoint.state)
        self.told += intake.reported


async def weathers(path: Path, writer: list[str], seed: int, count: int) -> Watched:
    """Read what *writer* writes, restarting all the time, until everything is there or nothing more comes."""
    watched = Watched(path, seed)
    await watched.run_once(0.1)
    process = subprocess.Popen(writer)
    try:
        while process.poll() is None:
            await watched.run_once(watched.chance.random() * 0.6)
            if watched.chance.random() < 0.3:
                await asyncio.sleep(watched.chance.random() * 0.5)  # rotations go on while nobody reads
    finally:
        assert process.wait() == 0
    in_vain = 0
    while in_vain < 4 and len(watched.places) < count:
        before = len(watched.places)
        await watched.run_once(0.5)
        in_vain = 0 if len(watched.places) > before else in_vain + 1
    return watched


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_every_line_is_seen_at_one_place(rotation: str, seed: int, tmp_path: Path) -> None:
    """Nothing is lost over rotations and restarts, and a line that is read again has the place it had."""
    path = tmp_path / "app.log"
    path.touch()
    writer = [sys.executable, "-c", WRITER, str(path), str(LINES), str(seed), rotation]
    watched = asyncio.run(weathers(path, writer, seed, LINES))
    assert sorted(set(range(LINES)) - watched.places.keys()) == []
    assert {number: places for number, places in watched.places.items() if len(places) > 1} == {}
    assert watched.told == []


CONFIGURATIONS = {
    "create": "rotate 100\ncreate\ncompress\ndelaycompress",
    "compressed at once": "rotate 100\ncreate\ncompress",
    "copytruncate": "rotate 100\ncopytruncate\ncompress\ndelaycompress",
    "dates": "rotate 100\ncreate\ncompress\ncompresscmd /usr/bin/xz\ncompressext .xz\ndelaycompress\ndateext\ndateformat -%Y%m%d-%s",
    "extension": "rotate 100\nnocreate\nextension .log\ncompress\ncompresscmd /usr/bin/zstd\ncompressoptions --rm -q\n"
    "compressext .zst\ndelaycompress",
}

LOGROTATE_WRITER = r"""
import subprocess, sys, time
path, count, configuration, state = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
dated = "dateext" in open(configuration).read()
number = 0
file = open(path, "ab", buffering=0)
for turn in range(6):
    for _ in range(count // 6):
        file.write(b"Nov 22 03:00:00 host prog[7]: n=%d line\n" % number)
        number += 1
    if dated:
        time.sleep(1.1)  # the name of the rotated file is made of seconds
    subprocess.run(["logrotate", "-f", "-s", state, configuration], check=True)
    file.write(b"Nov 22 03:00:00 host prog[7]: n=%d before reopening\n" % number)
    number += 1
    file.close()
    file = open(path, "ab", buffering=0)
file.close()
"""


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_logrotate(kind: str, tmp_path: Path) -> None:
    """What logrotate(8) does by its usual settings, with a writer that opens its file anew only afterwards."""
    if shutil.which("logrotate") is None:
        pytest.skip("no logrotate on this machine (Debian: apt-get install logrotate)")
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    path.touch()
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(f"{path} {{\n{CONFIGURATIONS[kind]}\n}}\n")
    configuration.chmod(0o644)
    command = [sys.executable, "-c", LOGROTATE_WRITER, str(path), "3000", str(configuration), str(tmp_path / "state")]
    count = 3006
    watched = asyncio.run(weathers(path, command, 7, count))
    missing = sorted(set(range(count)) - watched.places.keys())
    assert {number: places for number, places in watched.places.items() if len(places) > 1} == {}
    if kind == "compressed at once":
        # The line that the writer still wrote to the old file is not in what logrotate had compressed by then (see delaycompress
        # in logrotate(8)): only a reader that was there then has seen it, and does not find it again after a restart.
        assert all((number + 1) % 501 == 0 for number in missing)
        assert all(
            "is gone, or was truncated; lines written to it after that, if any, are lost" in line
            for line in watched.told
        )
    else:
        assert missing == []
        assert watched.told == []
