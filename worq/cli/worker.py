"""`worq worker`: a pool of threads or processes that runs an application's tasks."""

import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, NoReturn

import click
from click.core import ParameterSource

from worq.cli import loading, logs, reloading
from worq.cli.exits import CUT_SHORT, FAILED, TABLE, needing_a_server
from worq.cli.foreman import Ending, Foreman, Pool
from worq.cli.loading import ARGUMENT, NotLoaded
from worq.cli.options import Seconds, Url
from worq.core import Broker
from worq.masking import masked
from worq.pool import process, thread
from worq.pool.arguments import TASKS_MAX, WORKERS_MAX
from worq.pool.feed import Ledger
from worq.urls import is_process_local

# A claim that waits is woken by a stop; so this need not be short.
CLAIM_S = 60.0

_log = logging.getLogger(__name__)

HELP = f"""Run the tasks of MODULE:OBJECT until told to stop.

OBJECT is a Broker, or a function that is called with the URL and returns one; with several URLs,
with each of them. MODULE is imported with the current folder on its path.

The first INT (Ctrl-C) or TERM ends the claiming, and what runs has --drain-timeout seconds to end.
After that, or at the second signal (the same one again within half a second is none),
what still runs is ended: it starts again elsewhere if it has
attempts left, or else whoever waits for it is told that it expired. HUP drains too, and then starts
the whole command again, with the same process id.

Several queues, of one server or several, are served in strict rotation: whoever is free looks first
at the queue behind that of the last task. If all are empty, whoever is idle waits for all of them.

\b
Examples:
  worq worker app:broker
  worq worker app:make_broker --url redis://localhost:6379/0 --threads 8
  worq worker app:broker --queue mail --queue reports --processes 4
  worq worker app:make_broker --url redis://one:6379/0 --url redis://two:6379/0
  worq worker app:broker --burst          # and 0 when all is done
  worq worker app:broker --check

{TABLE}"""


class _Plan(NamedTuple):
    """What was asked for."""

    text: str
    urls: tuple[str, ...]
    urls_are_default: bool
    queues: tuple[str, ...]
    threads: int | None
    processes: int | None
    tasks_max: int | None
    worker_tasks_max: int | None
    time_limit_s: float | None
    burst: bool
    level: str

    def check(self) -> None:
        if self.threads is not None and self.processes is not None:
            raise click.UsageError("--threads and --processes exclude one another")
        for option, value in (
            ("--time-limit", self.time_limit_s),
            ("--max-worker-tasks", self.worker_tasks_max),
        ):
            if value is not None and self.processes is None:
                raise click.UsageError(
                    f"{option} {value:g} needs --processes: no thread can be ended"
                )

    def brokers(self) -> list[Broker]:
        brokers = loading.of_urls(
            self.text, self.urls, self.queues, are_default=self.urls_are_default
        )
        if not brokers[0].tasks:
            raise NotLoaded(f"{loading.ARGUMENT}: {self.text!r} exposes no tasks")
        return brokers

    def pool(
        self, brokers: Sequence[Broker], spent: Callable[[], None]
    ) -> tuple[Pool, Callable[[], None]]:
        """A pool, and what starts it."""
        ledger = None
        if self.burst or self.tasks_max is not None or len(brokers) > 1:
            ledger = Ledger(tasks_max=self.tasks_max, burst=self.burst, spent=spent)
        broker = loading.fed(brokers, ledger)
        if self.processes is None:
            threads = thread.WorkerPool(broker, self.threads or 1, drain_timeout=math.inf)
            return threads, lambda: threads.start(CLAIM_S)
        processes = process.WorkerPool(
            broker,
            loading.for_worker,
            (
                self.text,
                tuple(dict.fromkeys(each.url for each in brokers)),
                tuple(dict.fromkeys(each.name for each in brokers)),
                self.level,
            ),
            workers=self.processes,
            max_worker_tasks=self.worker_tasks_max,
            time_limit=self.time_limit_s,
            drain_timeout=math.inf,
        )
        return processes, lambda: processes.start(CLAIM_S, handle_sigterm=False)

    def source_of(self, broker: Broker) -> str:
        """Who said where its server is."""
        return "--url" if broker.url in self.urls else f"{ARGUMENT}: the URL of {self.text!r}"

    @property
    def crew(self) -> str:
        """Who does it: the subject and the verb."""
        count, what = (
            (self.threads or 1, "thread") if self.processes is None else (self.processes, "process")
        )
        if count == 1:
            return f"1 {what} runs"
        return f"{count} {what}{'es' if what == 'process' else 's'} run"


@click.command(help=HELP)
@click.argument("text", metavar="MODULE:OBJECT")
@click.option(
    "--url",
    "urls",
    type=Url(),
    multiple=True,
    envvar="WORQ_URL",
    show_envvar=True,
    help="A server; for a Broker, instead of its own; can be repeated. As a variable: for a function.",
)
@click.option(
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    envvar="WORQ_QUEUE",
    show_envvar=True,
    help="Serve this queue instead of the object's own; can be repeated.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, WORKERS_MAX),
    envvar="WORQ_THREADS",
    show_envvar=True,
    help="Threads that run tasks; 1 unless told otherwise.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, WORKERS_MAX),
    envvar="WORQ_PROCESSES",
    show_envvar=True,
    help="Processes that run tasks, instead of threads.",
)
@click.option(
    "--max-tasks", "tasks_max", type=click.IntRange(1, TASKS_MAX), help="End after so many tasks."
)
@click.option(
    "--max-worker-tasks",
    "worker_tasks_max",
    type=click.IntRange(1, TASKS_MAX),
    help="Replace each process after so many tasks.",
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=Seconds(above_zero=True),
    envvar="WORQ_TIME_LIMIT",
    show_envvar=True,
    help="End a task that runs so long, which fails; needs --processes. Its own limit counts if that is shorter.",
)
@click.option(
    "--burst",
    is_flag=True,
    help="End when no task is ready, and none runs that may make another ready.",
)
@click.option(
    "--drain-timeout",
    "drain_s",
    type=Seconds(),
    envvar="WORQ_DRAIN_TIMEOUT",
    show_envvar=True,
    default=25.0,
    show_default=True,
    help="How long what runs may take to end after a signal; inf: for ever.",
)
@click.option("--check", is_flag=True, help="Connect, list the tasks, and exit.")
@click.option(
    "--reload",
    is_flag=True,
    help="Start again when a *.py below the current folder changes; needs the extra watch.",
)
@click.option(
    "--log-level",
    "level",
    type=click.Choice(logs.LEVELS, case_sensitive=False),
    envvar="WORQ_LOG_LEVEL",
    show_envvar=True,
    default="info",
    show_default=True,
    help="What worq says on standard error.",
)
@click.pass_context
def worker(
    context: click.Context,
    /,
    *,
    check: bool,
    reload: bool,
    drain_s: float,
    urls: tuple[str, ...],
    **asked: object,
) -> None:
    _prefer_the_command_line(context, asked)
    are_default = context.get_parameter_source("urls") is not ParameterSource.COMMANDLINE
    plan = _Plan(urls=urls, urls_are_default=are_default, **asked)  # type: ignore[arg-type]
    plan.check()
    logs.configure(plan.level)
    reloading.reap()
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if check:
        _check(plan)
        return
    # What is there when nobody listens, also in the command that this one becomes: or a second HUP would end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    foreman = Foreman(drain_s)
    with ExitStack() as stack:
        stack.enter_context(foreman.listening())
        if reload:
            stack.enter_context(reloading.watching(folder, foreman.reload))
        ending = _work(plan, foreman, reload=reload)
    _end(ending, folder)


def _prefer_the_command_line(context: click.Context, asked: dict[str, object]) -> None:
    """Of --threads and --processes, which exclude one another, what was typed beats what a variable says."""
    kinds = ("threads", "processes")
    if any(context.get_parameter_source(kind) is ParameterSource.COMMANDLINE for kind in kinds):
        for kind in kinds:
            if context.get_parameter_source(kind) is ParameterSource.ENVIRONMENT:
                asked[kind] = None


def _check(plan: _Plan) -> None:
    brokers = plan.brokers()
    for broker in brokers:
        with logs.unheard("worq.queue"), needing_a_server(plan.source_of(broker)):
            waiting = len(broker)
        click.echo(f"{masked(broker.url)} [{broker.name}]: {waiting:,} waiting")
    click.echo("tasks:")
    for name in sorted(brokers[0].tasks):
        click.echo(f"  {name}")


def _work(plan: _Plan, foreman: Foreman, *, reload: bool) -> Ending:
    try:
        brokers = plan.brokers()
    except NotLoaded as error:
        if not reload:
            raise
        error.show()
        return foreman.wait()
    for broker in brokers:
        with needing_a_server(plan.source_of(broker)):
            len(broker)
    pool, start = plan.pool(brokers, foreman.spent)

    def start_and_say() -> None:
        start()
        _log.info("%s the tasks of %s", plan.crew, _places(brokers))
        if is_process_local(brokers[0].url):
            _log.warning("it means another queue in each process: only this one gives it tasks")

    try:
        ending = foreman.run(pool, start_and_say)
    except process.WorkerInitError as error:
        click.echo(f"Error: no worker process: {error}", err=True)
        raise click.exceptions.Exit(FAILED) from error
    if refused := sum(broker.refused for broker in brokers):
        _log.warning("messages that were refused: %s", f"{refused:,}")
    for broker in brokers:
        broker.close()
    return ending


def _places(brokers: Sequence[Broker]) -> str:
    """The servers, and the queues of each."""
    names: dict[str, list[str]] = {}
    for broker in brokers:
        names.setdefault(masked(broker.url), []).append(broker.name)
    return ", ".join(f"{url} [{', '.join(each)}]" for url, each in names.items())


def _end(ending: Ending, folder: str) -> None:
    match ending:
        case Ending.WHOLE:
            _log.info("stopped: all that had begun was finished")
        case Ending.CUT:
            _log.warning("stopped: what still ran was ended")
            _leave(CUT_SHORT)
        case Ending.RELOAD:
            reloading.start_again(folder)


def _leave(code: int) -> NoReturn:
    """Exit, whatever the threads of tasks that were given up are at."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
