"""The arrows between the packages, what importing the runtime loads, and what the plugin shows to pySigma."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT


def modules_imported(path: Path, package: str) -> set[str]:
    """Return the absolute names of the modules that *path* imports when it is imported itself."""
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] + "." if node.level > 1 else package + "."
            prefix = base if node.level else ""
            found.add((prefix + (node.module or "")).rstrip("."))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending.extend(ast.iter_child_nodes(node))
    return found


def own_modules() -> list[tuple[str, Path, str]]:
    """Return (module, path, package) for every file of the project."""
    rows = []
    for path in sorted((ROOT / "sigma").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = ".".join(parts[:-1])
        rows.append((package if parts[-1] == "__init__" else ".".join(parts), path, package))
    return rows


@pytest.mark.parametrize(("module", "path", "package"), own_modules(), ids=lambda value: str(value)[-60:])
def test_the_runtime_never_imports_the_plugin_or_pysigma(module: str, path: Path, package: str) -> None:
    """Nothing below sigma.pyeval imports pySigma, the backend or the pipelines when it is imported."""
    if not module.startswith("sigma.pyeval"):
        return
    foreign = {
        name
        for name in modules_imported(path, package)
        if name.startswith("sigma.") and not name.startswith("sigma.pyeval")
    }
    assert foreign == set()


ADAPTERS = tuple(f"sigma.pyeval.{name}" for name in ("aws_lambda", "frames", "importer", "log_handler", "spark"))
"""Nothing else may need them."""

LAYERS = (
    ADAPTERS,
    ("sigma.pyeval.cli",),
    ("sigma.pyeval.monitor",),
    ("sigma.pyeval.tuning",),
    ("sigma.pyeval.parallel", "sigma.pyeval.testing"),
    ("sigma.pyeval.scanning", "sigma.pyeval.reports"),
    ("sigma.pyeval.log_correlation",),
    ("sigma.pyeval.alerts",),
    ("sigma.pyeval.nearest",),
    ("sigma.pyeval.explain", "sigma.pyeval.explain_correlation", "sigma.pyeval.explained_correlation"),
    ("sigma.pyeval.changes",),
    ("sigma.pyeval.items",),
    ("sigma.pyeval.findings", "sigma.pyeval.marks", "sigma.pyeval.redaction", "sigma.pyeval.field_report"),
    ("sigma.pyeval.conditions", "sigma.pyeval.excerpts", "sigma.pyeval.spans", "sigma.pyeval.entities"),
    ("sigma.pyeval.loading",),
    ("sigma.pyeval.cache", "sigma.pyeval.linked", "sigma.pyeval.diagnosis", "sigma.pyeval.documents"),
    ("sigma.pyeval.ruleset", "sigma.pyeval.codegen"),
    ("sigma.pyeval.layout", "sigma.pyeval.engine", "sigma.pyeval.correlation"),
    ("sigma.pyeval.expression",),
    ("sigma.pyeval.regex_safety",),
    ("sigma.pyeval.event_time", "sigma.pyeval.events"),
    ("sigma.pyeval.matchers",),
)


def layer_of(module: str) -> int | None:
    """Return the layer of a module, counted from the top, or None for the plain data that all may use."""
    for number, prefixes in enumerate(LAYERS):
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return number
    return None


@pytest.mark.parametrize(("module", "path", "package"), own_modules(), ids=lambda value: str(value)[-60:])
def test_imports_point_one_way(module: str, path: Path, package: str) -> None:
    """A module imports only modules of its own layer or of those below it."""
    own = layer_of(module)
    if own is None:
        return
    layers = {name: layer_of(name) for name in modules_imported(path, package)}
    upward = {name for name, layer in layers.items() if layer is not None and layer < own}
    assert upward == set()


def test_correlation_knows_nothing_of_rules_and_expressions() -> None:
    """It is embedded in modules: of its own package it uses the matchers' reading of values and the times of events alone."""
    allowed = ("matchers", "event_time", "events", "correlation", "literals", "standalone")
    used = {
        name.removeprefix("sigma.pyeval.").split(".")[0]
        for module, path, package in own_modules()
        if module.startswith("sigma.pyeval.correlation")
        for name in modules_imported(path, package)
        if name.startswith("sigma.pyeval")
    }
    assert used <= set(allowed)


@pytest.mark.parametrize("folder", ["sigma", "sigma/backends", "sigma/pipelines"])
def test_shared_namespaces_have_no_init(folder: str) -> None:
    """An __init__.py there would hide every other pySigma plugin."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_module_outgrows_a_room() -> None:
    """Modules stay under about 400 lines."""
    assert {str(path): n for _, path, _ in own_modules() if (n := path.read_text().count("\n")) > 420} == {}


def run_python(code: str, *arguments: str) -> str:
    """Run *code* in a fresh interpreter and return what it prints."""
    result = subprocess.run(
        [sys.executable, *arguments, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout


def test_importing_the_runtime_loads_no_pysigma() -> None:
    """Detecting with ready-made rules needs neither pySigma nor a YAML parser."""
    loaded = set(run_python("import sys, sigma.pyeval; print(*sys.modules)").split())
    assert "sigma.pyeval" in loaded
    assert not loaded & {
        "sigma.rule",
        "sigma.conversion",
        "sigma.collection",
        "yaml",
        "pyparsing",
        "jinja2",
        "click",
        "rich",
    }


def test_public_names_are_what_all_says() -> None:
    """__all__ is sorted and every name in it can be imported."""
    import sigma.pyeval as package

    assert list(package.__all__) == sorted(package.__all__)
    assert [name for name in package.__all__ if getattr(package, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_discovery_finds_exactly_our_names() -> None:
    """pySigma finds the backend pyeval and our pipelines, and nothing else from these packages."""
    code = (
        "from sigma.plugins import InstalledSigmaPlugins as I; p = I.autodiscover(); "
        "print(*sorted(k for k, v in p.backends.items() if 'pyeval' in v.__module__), '|', "
        "*sorted(k for k, v in p.pipelines.items() if 'linux_eval' in v.__module__))"
    )
    assert run_python(code).split() == ["pyeval", "|", "linux_eval", "linux_eval_ecs", "linux_eval_sysmon"]
