"""Rule files become rules: YAML, pySigma's parser, the pipeline, the backend. pySigma is imported only when needed."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .cache import cache_key, read_ruleset, write_ruleset
from .conversion import Conversion, text_of, words_of
from .diagnosis import diagnose
from .documents import DocumentError, parse_documents, regex_policy
from .errors import RuleError, RuleLoadError
from .pipelines import Placeholders, inputs_of, mappings_of, resolve_pipeline, specs_of
from .restrictiveness import Restrictiveness
from .ruleset import Ruleset
from .selection import Choice, Selection, Traits

if TYPE_CHECKING:
    from sigma.collection import SigmaCollection
    from sigma.correlations import SigmaCorrelationRule
    from sigma.filters import SigmaFilter
    from sigma.rule import SigmaRule

    from .pipelines import PipelineSpec

    Parsed = SigmaRule | SigmaCorrelationRule

OnError = Literal["raise", "collect"]
Progress = Callable[[int, int], None]
"""Called with how many of how many steps are done; files are read and rules are converted, one step each."""

RULE_SUFFIXES = (".yml", ".yaml")
CASE_ENDINGS = (".test.yml", ".test.yaml", ".test.json")
"""How the names of files end that hold test cases and no rules: they are passed over in directories."""


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: what loading makes lives to its end, and looking it through takes a fifth of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@_collector_paused()
def load_rules(  # noqa: PLR0913 - the public interface
    *paths: str | Path,
    pipeline: PipelineSpec | None = None,
    placeholders: Placeholders | None = None,
    restrictiveness: Restrictiveness | str | None = None,
    selection: Selection | None = None,
    on_error: OnError = "raise",
    unsafe_regex: bool = False,
    cache: bool = True,
    progress: Progress | None = None,
) -> Ruleset:
    """Load rules from files and directories (``*.yml``, ``*.yaml`` at any depth, in order of their paths, no ``*.test.yml``).

    Sigma filters among the files are applied to all rules that they name. Files may hold several documents. Folders whose
    names begin with a dot are passed over. The garbage collector pauses meanwhile.

    Args:
        paths: Files or directories.
        pipeline: A pipeline's name, the path of a YAML pipeline, a ProcessingPipeline, FieldMappings, or a list of these.
        placeholders: Values for ``%name%`` in values with ``|expand``: text, number or a list of these.
        restrictiveness: Which rules to keep, see Restrictiveness; None keeps all.
        selection: Which rules to keep and under which level, see Selection; in place of *restrictiveness*.
        on_error: ``"raise"`` the first problem, or ``"collect"`` all of them in the result's ``errors``.
        unsafe_regex: Search every regular expression in whole values, however long that takes; for rules that are trusted.
        cache: Keep the finished rules of larger sets on disk and read them from there while nothing has changed, see
            ``sigma.pyeval.cache``. Pipelines that are objects or of other packages are never kept.
        progress: Called now and then with how many of how many steps are done; not where rules are read from the cache.

    Raises:
        RuleLoadError: A path or a rule cannot be loaded, with ``on_error="raise"``.
        ValueError: An argument is none of its allowed values.
        sigma.exceptions.SigmaError: The pipeline does not exist or cannot be read.
    """
    loader = _Loader(pipeline, placeholders, _selection(restrictiveness, selection), on_error, unsafe_regex)
    loader.progress = progress
    files = list(_read_files(_rule_files(paths, loader), loader))
    inputs = loader.inputs() if cache else None
    if inputs is None:
        return _converted(loader, files)
    key = cache_key([*inputs, *(part for file in files for part in (*file.names(), file.text))])
    kept = read_ruleset(key)
    if kept is not None:
        for error in kept.errors:
            loader.report(error)
        return Ruleset(
            kept.rules,
            loader.errors,
            correlations=kept.correlations,
            plan=kept.plan,
            unsafe_regex=unsafe_regex,
            left_out=kept.left_out,
            notes=kept.notes,
        )
    not_read = len(loader.errors)
    ruleset = _converted(loader, files)
    write_ruleset(
        key,
        Ruleset(
            ruleset.rules,
            ruleset.errors[not_read:],
            correlations=ruleset.correlations,
            plan=ruleset.plan,
            left_out=ruleset.left_out,
            notes=ruleset.notes,
        ),
    )
    return ruleset


def parse_rules(  # noqa: PLR0913 - the public interface
    text: str | bytes,
    /,
    *,
    pipeline: PipelineSpec | None = None,
    placeholders: Placeholders | None = None,
    restrictiveness: Restrictiveness | str | None = None,
    selection: Selection | None = None,
    on_error: OnError = "raise",
    unsafe_regex: bool = False,
) -> Ruleset:
    """Load rules from YAML text, several documents allowed; arguments and errors as in ``load_rules``."""
    loader = _Loader(pipeline, placeholders, _selection(restrictiveness, selection), on_error, unsafe_regex)
    loader.parse(text, None)
    return loader.ruleset()


def _selection(restrictiveness: Restrictiveness | str | None, selection: Selection | None) -> Selection:
    if selection is None:
        return Selection.parse(restrictiveness)
    if restrictiveness is not None:
        raise ValueError("restrictiveness is a part of selection: give one of them")
    return selection


class _RuleFile(NamedTuple):
    """A file, and its path below the directory that was given; ``text`` is empty for one that is left out."""

    path: Path
    below: str
    text: bytes = b""

    def names(self) -> tuple[bytes, bytes]:
        """Return both paths, for the cache."""
        return os.fsencode(self.path), os.fsencode(self.below)


def _converted(loader: _Loader, files: Sequence[_RuleFile]) -> Ruleset:
    for number, file in enumerate(files):
        loader.parse(file.text, file)
        loader.advance(number + 1, 2 * len(files))
    return loader.ruleset(len(files))


def _read_files(files: Iterable[_RuleFile], loader: _Loader) -> Iterator[_RuleFile]:
    """Yield the files with what they hold; what is left out is not read, and what cannot be read is reported."""
    for file in files:
        if loader.choice.excludes_file(file.below, file.path.absolute().as_posix()):
            continue
        try:
            yield file._replace(text=file.path.read_bytes())
        except OSError as error:
            loader.report(RuleError(f"cannot be read: {error.strerror}", "check the path", path=str(file.path)))


def _rule_files(paths: Iterable[str | Path], loader: _Loader) -> Iterator[_RuleFile]:
    """Yield each file once, those of a directory in order of their paths; report what is not there."""
    seen: set[tuple[int, int]] = set()
    for given in map(Path, paths):
        if given.is_dir():
            files = [_RuleFile(file, file.relative_to(given).as_posix()) for file in sorted(_files_below(given))]
            if not files:
                remedy = "name a file, or a directory that holds *.yml or *.yaml files"
                loader.report(RuleError("no rule files in this directory", remedy, path=str(given)))
        elif given.exists():
            files = [_RuleFile(given, given.name)]
        else:
            loader.report(RuleError("no such file or directory", "check the path", path=str(given)))
            continue
        for file in files:
            status = file.path.stat()
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield file


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the rule files below a directory; not those in hidden folders, where older rules and other things are kept."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts[:-1])
        if _is_rule_name(file.name) and not hidden and file.is_file():
            yield file


def _is_rule_name(name: str) -> bool:
    return name.endswith(RULE_SUFFIXES) and not name.endswith(CASE_ENDINGS)


class _Loader:
    """Collects parsed documents, then converts them all: filters apply across files."""

    def __init__(
        self,
        pipeline: PipelineSpec | None,
        placeholders: Placeholders | None,
        selection: Selection,
        on_error: OnError,
        unsafe_regex: bool,
    ) -> None:
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        self.choice = Choice(selection)
        self.progress: Progress | None = None
        self._pipeline = pipeline
        self._placeholders = placeholders
        self._unsafe_regex = unsafe_regex
        self._raise = on_error == "raise"
        self._errors: list[RuleError] = []
        self._parsed: list[tuple[Parsed, Traits]] = []
        self._filters: list[SigmaFilter] = []

    @property
    def errors(self) -> tuple[RuleError, ...]:
        """What has been reported so far."""
        return tuple(self._errors)

    def inputs(self) -> list[bytes] | None:
        """Return what decides, beside the rule files, what the rules become; ``None`` where that cannot be told."""
        pipelines = inputs_of(self._pipeline)
        if pipelines is None:
            return None
        # What is left out unread counts by its name; what selects nothing is told by all names there are.
        decisive = (sorted((self._placeholders or {}).items()), *self.choice.decisive(), self._unsafe_regex)
        return [repr(decisive).encode("utf-8", "replace"), *pipelines]

    def report(self, error: RuleError) -> None:
        """Raise or keep *error*, as the caller asked for."""
        if self._raise:
            raise RuleLoadError(error)
        self._errors.append(error)

    def advance(self, done: int, steps: int) -> None:
        """Tell who waits how far it is."""
        if self.progress is not None:
            self.progress(done, steps)

    def parse(self, text: str | bytes, file: _RuleFile | None) -> None:
        """Read the YAML documents of one file and parse the rules and filters in them."""
        path = None if file is None else str(file.path)
        try:
            documents = parse_documents(text)
        except DocumentError as error:
            self.report(RuleError(str(error), error.remedy, path=path))
            return
        if not documents:
            self.report(RuleError("holds no rule", "", path=path))
        # Without actions the documents are independent, and one that fails takes no other with it.
        if any("action" in document for document in documents):
            self._parse_documents(documents, file)
            return
        for document in documents:
            if not self.choice.excludes_id(str(document.get("id"))):
                self._parse_documents([document], file)

    def _parse_documents(self, documents: list[dict[str, Any]], file: _RuleFile | None) -> None:
        from sigma.exceptions import SigmaError

        document = documents[0] if len(documents) == 1 else {}
        title = document.get("title")
        place = None if file is None else str(file.path)
        try:
            collection = _collection(documents, None if file is None else file.path)
        except SigmaError as error:
            self.report(RuleError(*diagnose(words_of(error), document), title=text_of(title), path=place))
            return
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            reason = f"not a Sigma rule: {type(error).__name__}: {error}"
            self.report(RuleError(reason, "compare it with the Sigma specification", title=text_of(title), path=place))
            return
        found: list[Parsed | SigmaFilter] = [*collection.rules, *collection.filters]
        of_rules = {id(problem) for rule in found for problem in rule.errors}
        for problem in collection.errors:
            if id(problem) not in of_rules:
                self.report(RuleError(*diagnose(words_of(problem)), path=place))
        for rule in found:
            for problem in rule.errors:
                self.report(
                    RuleError(*diagnose(words_of(problem), document), text_of(rule.title), text_of(rule.id), place)
                )
        self._parsed += [(rule, _traits(rule, file)) for rule in collection.rules if not rule.errors]
        self._filters += [one for one in collection.filters if not one.errors]

    def ruleset(self, steps_done: int = 0) -> Ruleset:
        """Select, apply the filters, convert every rule; return the result."""
        from sigma.backends.pyeval import PyEvalBackend

        pipeline = resolve_pipeline(self._pipeline, self._placeholders)
        conversion = Conversion(
            PyEvalBackend(pipeline, unsafe_regex=self._unsafe_regex),
            self.choice,
            mappings_of(specs_of(self._pipeline)),
            self.report,
            lambda done, steps: self.advance(steps_done + done, steps_done + steps),
        )
        converted = conversion.convert(self._parsed, self._filters)
        return Ruleset(
            converted.rules,
            self._errors,
            correlations=converted.correlations,
            unsafe_regex=self._unsafe_regex,
            left_out=self.choice.left_out,
            notes=[*self.choice.notes(), *converted.notes],
        )


def _traits(rule: Parsed, file: _RuleFile | None) -> Traits:
    return Traits(
        text_of(rule.id),
        tuple(str(tag) for tag in rule.tags),
        text_of(rule.level),
        text_of(rule.status),
        "" if file is None else file.below,
        "" if file is None else file.path.absolute().as_posix(),
        str(rule.title or ""),
    )


def _collection(documents: list[dict[str, Any]], path: Path | None) -> SigmaCollection:
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaRuleLocation

    options: dict[str, Any] = {"collect_filters": True, "resolve_references": False, "collect_errors": True}
    if path is not None:
        options["source"] = SigmaRuleLocation(path)
    try:
        return SigmaCollection.from_dicts(documents, **options, **regex_policy())
    except UnboundLocalError:
        # pySigma goes on, without a condition, when it has collected that there is none it can read.
        return SigmaCollection.from_dicts(documents, **options | {"collect_errors": False}, **regex_policy())
