"""The command line: `worq demo`, and what will stand beside it. It needs the extra `cli`."""

import sys

NEEDED = frozenset({"click", "rich"})
BAD_INPUT = 2


def main() -> None:
    """Run the command that was asked for, and exit; with 2 if click or rich is not installed."""
    try:
        from worq.cli.app import worq
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in NEEDED:
            raise
        print(
            f"worq: the command line needs the package {package}: install worq-spec[cli]",
            file=sys.stderr,
        )
        sys.exit(BAD_INPUT)
    worq(prog_name="worq")
