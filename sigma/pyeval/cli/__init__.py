"""The command ``sigma-pyeval``. Each subcommand is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import signal

import click

from sigma.pyeval.version import __version__

_COMMANDS = {
    "bench": "Measure how many events a second rules judge.",
    "compile": "Write rules as Python: expressions, functions, a module, or JSON.",
    "coverage": "Show which ATT&CK techniques rules are about.",
    "diff": "Show which rules, and which matches, a new version changes.",
    "explain": "Show why rules match an event, or why they don't.",
    "fields": "Show fields that rules ask for and logs don't have, and the reverse.",
    "monitor": "Hold rules against live logs and deliver alerts.",
    "noise": "Show which rules match too often, and propose filters.",
    "rules": "Show which rules run and which cannot; update them from a release.",
    "scan": "Hold rules against log files and print what matches.",
    "test": "Run the test cases of rules.",
}


class _LazyGroup(click.Group):
    """A group whose subcommands are imported by name, so that ``--help`` and each command start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command


def run() -> None:
    """Run the command as a program: it ends as other programs do when nobody reads its output any more."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sigma-pyeval")
def main() -> None:
    """Run Sigma rules as plain Python.

    Exit codes: 0 done; 1 a match reached --fail-on, or a test case failed; 2 wrong usage, or no rule or no input could be loaded;
    3 stopped by --strict; 4 monitor: a source or sink did not end in time, rules update: installed files were changed since;
    5 monitor: a part failed for good.
    """
