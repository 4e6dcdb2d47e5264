"""Rule files become rules: YAML, pySigma's parser, the pipeline, the backend. pySigma is imported only when needed."""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .cache import cache_key, read_ruleset, write_ruleset
from .diagnosis import diagnose
from .documents import DocumentError, parse_documents, regex_policy
from .errors import RuleError, RuleLoadError
from .restrictiveness import Restrictiveness
from .rules import Rule
from .ruleset import Ruleset

if TYPE_CHECKING:
    from sigma.collection import SigmaCollection
    from sigma.correlations import SigmaCorrelationRule
    from sigma.filters import SigmaFilter
    from sigma.processing.pipeline import ProcessingPipeline
    from sigma.rule import SigmaRule

    PipelineSpec = str | Path | ProcessingPipeline
    Parsed = SigmaRule | SigmaCorrelationRule | SigmaFilter

OnError = Literal["raise", "collect"]
Placeholders = Mapping[str, str | int | Sequence[str | int]]
RULE_SUFFIXES = (".yml", ".yaml")
CASE_ENDINGS = (".test.yml", ".test.yaml", ".test.json")
"""How the names of files end that hold test cases and no rules: they are passed over in directories."""
_READS_MORE = (b"file_placeholders", b"http_placeholders", b"command_placeholders", b"template", b"vars_path")
"""Words of a YAML pipeline that takes values from elsewhere: what it makes of rules may change while it does not."""
_OWN_PIPELINES = "linux_eval"
"""How the names of this distribution's pipelines begin; what they do changes with the installation only."""


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
    pipeline: PipelineSpec | Sequence[PipelineSpec] | None = None,
    placeholders: Placeholders | None = None,
    restrictiveness: Restrictiveness | str | None = None,
    on_error: OnError = "raise",
    unsafe_regex: bool = False,
    cache: bool = True,
) -> Ruleset:
    """Load rules from files and directories (``*.yml``, ``*.yaml`` at any depth, in order of their paths, no ``*.test.yml``).

    Sigma filters among the files are applied to all rules that they name. Files may hold several documents. The garbage
    collector pauses meanwhile.

    Args:
        paths: Files or directories.
        pipeline: A pipeline's name, the path of a YAML pipeline, a ProcessingPipeline, or a list of these.
        placeholders: Values for ``%name%`` in values with ``|expand``: text, number or a list of these.
        restrictiveness: Which rules to keep, see Restrictiveness; None keeps all.
        on_error: ``"raise"`` the first problem, or ``"collect"`` all of them in the result's ``errors``.
        unsafe_regex: Search every regular expression in whole values, however long that takes; for rules that are trusted.
        cache: Keep the finished rules of larger sets on disk and read them from there while nothing has changed, see
            ``sigma.pyeval.cache``. Pipelines that are objects or of other packages are never kept.

    Raises:
        RuleLoadError: A path or a rule cannot be loaded, with ``on_error="raise"``.
        ValueError: An argument is none of its allowed values.
        sigma.exceptions.SigmaError: The pipeline does not exist or cannot be read.
    """
    loader = _Loader(pipeline, placeholders, restrictiveness, on_error, unsafe_regex)
    files = list(_read_files(_rule_files(paths, loader), loader))
    inputs = loader.inputs() if cache else None
    if inputs is None:
        return _converted(loader, files)
    key = cache_key(
        [*inputs, *(part for path, text in files for part in (str(path).encode("utf-8", "surrogateescape"), text))]
    )
    kept = read_ruleset(key)
    if kept is not None:
        for error in kept.errors:
            loader.report(error)
        return Ruleset(kept.rules, loader.errors, plan=kept.plan, unsafe_regex=unsafe_regex)
    not_read = len(loader.errors)
    ruleset = _converted(loader, files)
    write_ruleset(key, Ruleset(ruleset.rules, ruleset.errors[not_read:], plan=ruleset.plan))
    return ruleset


def _converted(loader: _Loader, files: Iterable[tuple[Path, bytes]]) -> Ruleset:
    for path, text in files:
        loader.parse(text, path)
    return loader.ruleset()


def _read_files(paths: Iterable[Path], loader: _Loader) -> Iterator[tuple[Path, bytes]]:
    for path in paths:
        try:
            yield path, path.read_bytes()
        except OSError as error:
            loader.report(RuleError(f"cannot be read: {error.strerror}", "check the path", path=str(path)))


def parse_rules(  # noqa: PLR0913 - the public interface
    text: str | bytes,
    /,
    *,
    pipeline: PipelineSpec | Sequence[PipelineSpec] | None = None,
    placeholders: Placeholders | None = None,
    restrictiveness: Restrictiveness | str | None = None,
    on_error: OnError = "raise",
    unsafe_regex: bool = False,
) -> Ruleset:
    """Load rules from YAML text, several documents allowed; arguments and errors as in ``load_rules``."""
    loader = _Loader(pipeline, placeholders, restrictiveness, on_error, unsafe_regex)
    loader.parse(text, None)
    return loader.ruleset()


def resolve_pipeline(
    pipeline: PipelineSpec | Sequence[PipelineSpec] | None, placeholders: Placeholders | None = None
) -> ProcessingPipeline | None:
    """Return one fresh pipeline for the given ones, lowest priority number first, placeholders before all.

    Raises:
        sigma.exceptions.SigmaError: A pipeline does not exist or cannot be read.
    """
    parts = sorted((_pipeline(spec) for spec in _specs(pipeline)), key=lambda part: part.priority)
    if placeholders is not None:
        parts.insert(0, _placeholder_pipeline(placeholders))
    if not parts:
        return None
    merged, *others = parts
    for other in others:
        merged = merged + other
    return merged


def _specs(pipeline: PipelineSpec | Sequence[PipelineSpec] | None) -> list[PipelineSpec]:
    if pipeline is None:
        return []
    return [pipeline] if isinstance(pipeline, (str, Path)) or not isinstance(pipeline, Sequence) else list(pipeline)


def _pipeline(spec: PipelineSpec) -> ProcessingPipeline:
    from sigma.exceptions import SigmaPipelineNotFoundError
    from sigma.processing.pipeline import ProcessingPipeline

    if isinstance(spec, ProcessingPipeline):
        return copy.deepcopy(spec)  # its items would else belong to the first backend they are given to
    if isinstance(spec, str) and Path(spec).suffix not in RULE_SUFFIXES:
        return _named_pipeline(spec)
    try:
        text = Path(spec).read_text(encoding="utf-8")
    except OSError as error:
        raise SigmaPipelineNotFoundError(f"{spec} ({error.strerror})") from error
    return ProcessingPipeline.from_yaml(text)


def _named_pipeline(name: str) -> ProcessingPipeline:
    from sigma.plugins import InstalledSigmaPlugins

    from sigma.pipelines import linux_eval

    if name in linux_eval.pipelines:
        own: ProcessingPipeline = linux_eval.pipelines[name]()
        return own
    resolved: ProcessingPipeline = InstalledSigmaPlugins.autodiscover().get_pipeline_resolver().resolve_pipeline(name)
    return resolved


def _placeholder_pipeline(placeholders: Placeholders) -> ProcessingPipeline:
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import ValueListPlaceholderTransformation

    return ProcessingPipeline(
        items=[ProcessingItem(ValueListPlaceholderTransformation(), identifier="pyeval_placeholders")],
        vars={
            name: list(value) if isinstance(value, (list, tuple)) else [value] for name, value in placeholders.items()
        },
    )


def _rule_files(paths: Iterable[str | Path], loader: _Loader) -> Iterator[Path]:
    """Yield each file once, those of a directory in order of their paths; report what is not there."""
    seen: set[tuple[int, int]] = set()
    for given in map(Path, paths):
        if given.is_dir():
            files = sorted(file for file in given.rglob("*") if _is_rule_name(file.name) and file.is_file())
            if not files:
                remedy = "name a file, or a directory that holds *.yml or *.yaml files"
                loader.report(RuleError("no rule files in this directory", remedy, path=str(given)))
        elif given.exists():
            files = [given]
        else:
            loader.report(RuleError("no such file or directory", "check the path", path=str(given)))
            continue
        for file in files:
            status = file.stat()
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield file


def _is_rule_name(name: str) -> bool:
    return name.endswith(RULE_SUFFIXES) and not name.endswith(CASE_ENDINGS)


class _Loader:
    """Collects parsed documents, then converts them all: filters apply across files."""

    def __init__(
        self,
        pipeline: PipelineSpec | Sequence[PipelineSpec] | None,
        placeholders: Placeholders | None,
        restrictiveness: Restrictiveness | str | None,
        on_error: OnError,
        unsafe_regex: bool,
    ) -> None:
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        self._pipeline = pipeline
        self._placeholders = placeholders
        self._selection = None if restrictiveness is None else Restrictiveness.parse(restrictiveness)
        self._unsafe_regex = unsafe_regex
        self._raise = on_error == "raise"
        self._errors: list[RuleError] = []
        self._parsed: list[Parsed] = []

    @property
    def errors(self) -> tuple[RuleError, ...]:
        """What has been reported so far."""
        return tuple(self._errors)

    def inputs(self) -> list[bytes] | None:
        """Return what decides, beside the rule files, what the rules become; ``None`` where that cannot be told."""
        selection = None if self._selection is None else self._selection.name
        parts = [
            repr((sorted((self._placeholders or {}).items()), selection, self._unsafe_regex)).encode("utf-8", "replace")
        ]
        for spec in _specs(self._pipeline):
            if not isinstance(spec, (str, Path)):
                return None
            if isinstance(spec, Path) or Path(spec).suffix in RULE_SUFFIXES:
                try:
                    text = Path(spec).read_bytes()
                except OSError:
                    return None
                if any(word in text for word in _READS_MORE):
                    return None
                parts.append(text)
            elif spec.startswith(_OWN_PIPELINES):
                parts.append(spec.encode())
            else:
                return None
        return parts

    def report(self, error: RuleError) -> None:
        """Raise or keep *error*, as the caller asked for."""
        if self._raise:
            raise RuleLoadError(error)
        self._errors.append(error)

    def parse(self, text: str | bytes, path: Path | None) -> None:
        """Read the YAML documents of one file and parse the rules and filters in them."""
        try:
            documents = parse_documents(text)
        except DocumentError as error:
            self.report(RuleError(str(error), error.remedy, path=None if path is None else str(path)))
            return
        if not documents:
            self.report(RuleError("holds no rule", "", path=None if path is None else str(path)))
        # Without actions the documents are independent, and one that fails takes no other with it.
        together = any("action" in document for document in documents)
        for group in [documents] if together else [[document] for document in documents]:
            self._parse_documents(group, path)

    def _parse_documents(self, documents: list[dict[str, Any]], path: Path | None) -> None:
        from sigma.exceptions import SigmaError

        document = documents[0] if len(documents) == 1 else {}
        title = document.get("title")
        place = None if path is None else str(path)
        try:
            collection = _collection(documents, path)
        except SigmaError as error:
            self.report(RuleError(*diagnose(_words(error), document), title=_text(title), path=place))
            return
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            reason = f"not a Sigma rule: {type(error).__name__}: {error}"
            self.report(RuleError(reason, "compare it with the Sigma specification", title=_text(title), path=place))
            return
        rules: list[Parsed] = [*collection.rules, *collection.filters]
        of_rules = {id(problem) for rule in rules for problem in rule.errors}
        for problem in collection.errors:
            if id(problem) not in of_rules:
                self.report(RuleError(*diagnose(_words(problem)), path=place))
        for rule in rules:
            for problem in rule.errors:
                self.report(RuleError(*diagnose(_words(problem), document), _text(rule.title), _text(rule.id), place))
            if not rule.errors:
                self._parsed.append(rule)

    def ruleset(self) -> Ruleset:
        """Apply the filters, select, convert every rule; return the result."""
        from sigma.collection import SigmaCollection
        from sigma.exceptions import SigmaError

        from sigma.backends.pyeval import PyEvalBackend

        pipeline = resolve_pipeline(self._pipeline, self._placeholders)
        backend = PyEvalBackend(pipeline, unsafe_regex=self._unsafe_regex)
        rules: list[Rule] = []
        for rule in SigmaCollection(self._parsed, resolve_references=False).rules:
            if not self._admits(rule):
                continue
            try:
                rules += backend.convert_to_rules(rule)
            except SigmaError as error:
                self.report(_rule_error(rule, error))
        return Ruleset(rules, self._errors, unsafe_regex=self._unsafe_regex)

    def _admits(self, rule: SigmaRule | SigmaCorrelationRule) -> bool:
        if self._selection is None:
            return True
        level = None if rule.level is None else str(rule.level)
        status = None if rule.status is None else str(rule.status)
        return self._selection.admits(level, status, [str(tag) for tag in rule.tags])


def _collection(documents: list[dict[str, Any]], path: Path | None) -> SigmaCollection:
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaRuleLocation

    options: dict[str, Any] = {"collect_filters": True, "resolve_references": False, "collect_errors": True}
    if path is not None:
        options["source"] = SigmaRuleLocation(path)
    return SigmaCollection.from_dicts(documents, **options, **regex_policy())


def _rule_error(rule: SigmaRule | SigmaCorrelationRule, error: Exception) -> RuleError:
    place = None if rule.source is None else str(rule.source.path)
    finding, remedy = getattr(error, "finding", None), getattr(error, "remedy", "")
    if finding is None:
        finding, remedy = diagnose(_words(error))
    return RuleError(finding, remedy, _text(rule.title), _text(rule.id), place)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _words(error: Exception) -> str:
    """Return an error's own words on one line, without the location that pySigma appends."""
    return " ".join(str(error.args[0] if error.args else type(error).__name__).split())
