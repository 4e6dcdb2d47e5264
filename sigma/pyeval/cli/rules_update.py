"""``sigma-pyeval rules update`` and ``rollback``: rules of a release in the place of those before."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click
from rich.text import Text

from sigma.pyeval.errors import in_brief
from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.releases.archive import Release, ReleaseError, read_release
from sigma.pyeval.releases.changes import KINDS, Changes, compare
from sigma.pyeval.releases.download import MOST_CHECKSUM_BYTES, digest_in, fetch, is_url, sha256_of
from sigma.pyeval.releases.installation import (
    LocalChanges,
    carry_over,
    local_changes,
    manifest_of,
    prepared,
    previous_of,
    roll_back,
    take_over,
)
from sigma.pyeval.reports.console import output_console
from sigma.pyeval.ruleset import Ruleset

from .bar import Bar
from .messages import fail, warn
from .rule_options import EXIT_NOTHING_LOADED, why_no_pipeline

EXIT_LOCAL_CHANGES: Final = 4
SHOWN: Final = 20
"""Rules named, in the table, of each kind of change."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_INTO = click.option(
    "--into", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="The directory of these rules: empty, new, or made by this command.",
)  # fmt: skip


@click.command("update")
@click.argument("source")
@_INTO
@click.option("--sha256", metavar="HEX", help="What the archive's SHA-256 has to be.")
@click.option(
    "--checksum-file", metavar="URL-OR-PATH", help="A file of sha256sum that names the archive; URLs by https only."
)
@click.option(
    "--insecure-no-checksum", is_flag=True, help="Install what the URL gives without knowing what it should be."
)
@click.option("--ca", type=_FILE, help="The only authorities (PEM) to trust for https.")
@click.option(
    "--license-file", type=_FILE, help="The rules' licence, where the archive has none (SigmaHQ's packages don't)."
)
@click.option("--without-license", is_flag=True, help="Install an archive without a licence file.")
@click.option(
    "--replace-local", is_flag=True, help="Replace installed files that were changed since; the old ones are kept."
)
@click.option("-p", "--pipeline", "pipelines", multiple=True, help="Pipeline for the report of changes; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only report what would change.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def update(
    source: str,
    folder: Path,
    sha256: str | None,
    checksum_file: str | None,
    insecure_no_checksum: bool,
    ca: Path | None,
    license_file: Path | None,
    without_license: bool,
    replace_local: bool,
    pipelines: tuple[str, ...],
    dry_run: bool,
    format_: str,
) -> None:
    """Install the rules of a release archive, SOURCE (zip or tar.gz, a file or a URL), and report what changes.

    The directory is exchanged whole; the one before is kept for `rules rollback`. Files that were added to it stay.

    Exit codes: 0 done, also where nothing changed; 2 the archive cannot be used, nothing was changed; 4 installed files were
    changed since, and would be lost without --replace-local.
    """
    if is_url(source) and not (sha256 or checksum_file or insecure_no_checksum):
        fail("a URL needs --sha256 or --checksum-file (or --insecure-no-checksum)", EXIT_NOTHING_LOADED)
    with _told_on_one_line(), ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigma-pyeval-")))
        archive = _archive(source, work, ca)
        digest = sha256_of(archive)
        _check(digest, _expected(source, sha256, checksum_file, ca))
        files, release = _files(archive, license_file, without_license)
        manifest = manifest_of(folder)
        local = LocalChanges() if manifest is None else local_changes(folder, manifest)
        about = {"source": printable(_named(source)), "sha256": digest, "version": release.version}
        new = stack.enter_context(prepared(work / "new" if dry_run else folder, files, about))
        carry_over(folder, new, local.added)
        changes = _compared(folder if manifest is not None else None, new, pipelines)
        _tell(about, changes, local, format_)
        clash = sorted({*local.modified, *(path for path in local.added if path in files)})
        if clash and not replace_local:
            what = f"{counted(len(clash), 'installed file')} changed since: {', '.join(clash[:5])}"
            fail(
                f"{what}{', ...' if len(clash) > 5 else ''}; nothing was done; see --replace-local", EXIT_LOCAL_CHANGES
            )
        if dry_run:
            click.echo("nothing was done (--dry-run)", err=True)
            return
        take_over(new, folder)
    kept = f"; the rules before are in {printable(str(previous_of(folder)))}" if manifest is not None else ""
    click.echo(f"{counted(len(release.rules), 'file')} installed in {printable(str(folder))}{kept}", err=True)


@click.command("rollback")
@_INTO
def rollback(folder: Path) -> None:
    """Go back to the rules before the last update; once more goes forward again.

    Exit codes: 0 done; 2 no such rules are kept.
    """
    with _told_on_one_line():
        manifest = roll_back(folder)
    version = " ".join(str(manifest.get("version", "")).split())
    click.echo(
        f"{printable(str(folder))}: the rules installed {printable(str(manifest.get('installed')))}"
        f"{f' ({printable(version)})' if version else ''}",
        err=True,
    )


@contextmanager
def _told_on_one_line() -> Iterator[None]:
    """End the program with one line where the release or the disk does not do."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(f"a URL needs {error.name}: pip install 'pySigma-backend-pyeval[monitor]'", EXIT_NOTHING_LOADED)
    except ReleaseError as error:
        fail(str(error), EXIT_NOTHING_LOADED)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fail(f"{place}{error.strerror or error}", EXIT_NOTHING_LOADED)


def _named(source: str) -> str:
    """Return *source* as it is shown and kept: a URL without user, password and query, which may be secrets."""
    if not is_url(source):
        return source
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _archive(source: str, work: Path, ca: Path | None) -> Path:
    if not is_url(source):
        return Path(source)
    archive = work / "archive"
    with archive.open("wb") as stream, Bar("fetching", as_bytes=True) as bar:
        fetch(source, stream, ca=ca, progress=bar.show)
    return archive


def _expected(source: str, sha256: str | None, checksum_file: str | None, ca: Path | None) -> str | None:
    if sha256 is not None:
        return sha256.lower()
    if checksum_file is None:
        return None
    name = unquote(urlsplit(source).path.rpartition("/")[2]) if is_url(source) else Path(source).name
    if not is_url(checksum_file):
        return digest_in(Path(checksum_file).read_text(encoding="utf-8", errors="replace"), name)
    if not checksum_file.lower().startswith("https://"):
        raise ReleaseError("a checksum fetched without https proves nothing")
    with tempfile.TemporaryFile() as stream:
        fetch(checksum_file, stream, ca=ca, most_bytes=MOST_CHECKSUM_BYTES)
        stream.seek(0)
        return digest_in(stream.read().decode("utf-8", "replace"), name)


def _check(digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise ReleaseError(f"the archive's SHA-256 is {digest}, not {expected}; it was damaged or exchanged")


def _files(archive: Path, license_file: Path | None, without_license: bool) -> tuple[dict[str, bytes], Release]:
    """Return all files that are installed, by path, and the release."""
    release = read_release(archive)
    licences = dict(release.licences)
    if license_file is not None:
        licences["LICENSE"] = license_file.read_bytes()
    if not licences and not without_license:
        raise ReleaseError("the archive has no licence file; give it by --license-file, or say --without-license")
    files = {**release.rules, **licences}
    if release.version:
        files["version.txt"] = release.version.encode()
    return files, release


def _compared(old: Path | None, new: Path, pipelines: tuple[str, ...]) -> Changes:
    from sigma.exceptions import SigmaError

    from sigma.pyeval.loading import load_rules

    try:
        with Bar("reading rules") as bar:
            options: dict[str, Any] = {"pipeline": list(pipelines), "on_error": "collect", "cache": False}
            before = Ruleset([]) if old is None else load_rules(old, **options, progress=bar.show)
            return compare(before, old or new, load_rules(new, **options, progress=bar.show), new)
    except SigmaError as error:
        raise ReleaseError(f"pipeline: {why_no_pipeline(pipelines, error)}") from error


def _tell(about: dict[str, str], changes: Changes, local: LocalChanges, format_: str) -> None:
    """Write the report to stdout, and what was changed here to stderr."""
    for what, paths in (
        ("changed here since they were installed", local.modified),
        ("added here; kept", local.added),
        ("removed here; installed again where the release has them", local.deleted),
    ):
        if paths:
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            warn(f"{counted(len(paths), 'file')} {what}: {', '.join(paths[:5])}{more}")
    if format_ == "json":
        report = {
            **about,
            **changes.as_dict(),
            "local": {n: getattr(local, n) for n in ("modified", "added", "deleted")},
        }
        sys.stdout.buffer.write(json_line(report) + b"\n")
        sys.stdout.flush()
        return
    console = output_console(highlight=True)
    for line in about["version"].splitlines():
        console.print(Text(printable(line)))
    for kind, words in KINDS.items():
        changed = getattr(changes, kind)
        if not changed:
            continue
        console.print(Text(f"{counted(len(changed), 'rule')} {words}:", style="bold"))
        shown = changed[:SHOWN]
        for one, reason in zip(shown, in_brief(one.reason for one in shown), strict=True):
            why = f": {reason}" if reason else ""
            levels = " -> ".join(dict.fromkeys(level or "no level" for level in (one.old_level, one.level)))
            console.print(Text(printable(f"  {one.title or one.path} ({levels}, {one.path}){why}")))
        if len(changed) > SHOWN:
            console.print(f"  and {len(changed) - SHOWN} more; --format json names them")
    unusable = f", {changes.errors} that cannot be used" if changes.errors else ""
    console.print(f"{counted(changes.rules, 'rule')}{unusable}{'' if changes else '; none is different'}")
