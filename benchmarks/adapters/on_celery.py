"""Celery. Variant: the kind of its pool (prefork, threads, solo)."""

from typing import Any

import shared
from celery import Celery, chord, group
from shared import PYTHON, THREADS, TIMEOUT_S, URL, VARIANT

IS_ASYNC = False

app = Celery("on_celery", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True


@app.task
def noop(value: Any) -> Any:
    return value


@app.task
def mark(name: str) -> None:
    shared.mark(name)


@app.task
def total(values: list[int]) -> int:
    return sum(values)


def open() -> None:  # noqa: A001 - the protocol's name
    pass


def close() -> None:
    app.close()


def worker() -> list[str]:
    pool = ["--pool", VARIANT, "--concurrency", str(THREADS)]
    return [PYTHON, "-m", "celery", "-A", "on_celery", "worker", *pool, "--loglevel", "ERROR"]


def enqueue(value: Any) -> Any:
    return noop.delay(value)


def enqueue_mark(name: str) -> None:
    mark.delay(name)


def enqueue_many(values: Any) -> list[Any]:
    return list(group(noop.s(value) for value in values).apply_async().results)


def fetch(handle: Any) -> Any:
    value = handle.get(timeout=TIMEOUT_S)
    handle.forget()
    return value


def graph(count: int) -> int:
    return fetch(chord(noop.s(number) for number in range(count))(total.s()))
