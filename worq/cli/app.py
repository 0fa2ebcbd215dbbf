"""The commands of `worq`, and how each of them ends."""

import click

from worq.cli.check import check
from worq.cli.demo import demo
from worq.cli.exits import TABLE
from worq.cli.explore import explore
from worq.cli.info import info
from worq.cli.purge import purge
from worq.cli.result import result
from worq.cli.spec import spec
from worq.cli.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=TABLE)
@click.version_option(package_name="worq-spec", prog_name="worq", message="%(prog)s %(version)s")
def worq() -> None:
    """Run worq, a task queue whose behaviour is defined by an executable specification."""


for _command in (check, demo, explore, info, purge, result, spec, worker):
    worq.add_command(_command)
