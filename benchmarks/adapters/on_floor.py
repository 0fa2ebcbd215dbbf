"""The floors: a queue by hand on redis-py, with no guarantee at all.

LPUSH, BRPOP, RPUSH with EXPIRE, and BLPOP: what a queue with results that expire must do at least. A worker that
crashes loses its task. Variant `batch`: a worker takes up to 64 at once, and stores their results in one pipeline.
"""

import pickle
import signal
import uuid
from typing import Any

import redis
from shared import PYTHON, TIMEOUT_S, URL, VARIANT, mark, noop

IS_ASYNC = False
BATCH = 64
PIPELINE = 100
RESULT_S = 3600
TASKS: dict[str, Any] = {"noop": noop, "mark": mark}

client = redis.Redis.from_url(URL)


def open() -> None:  # noqa: A001 - the protocol's name
    client.ping()


def close() -> None:
    client.close()


def worker() -> list[str]:
    return [PYTHON, "on_floor.py"]


def enqueue(value: Any) -> str:
    return _enqueue(client, "noop", value)


def enqueue_mark(name: str) -> None:
    _enqueue(client, "mark", name)


def enqueue_many(values: Any) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    handles = []
    for number, value in enumerate(values, start=1):
        handles.append(_enqueue(pipeline, "noop", value))
        if number % PIPELINE == 0:
            pipeline.execute()
    pipeline.execute()
    return handles


def fetch(handle: str) -> Any:
    _, message = client.blpop([f"result:{handle}"], timeout=TIMEOUT_S)
    return pickle.loads(message)


def fetch_many(handles: list[str]) -> list[Any]:
    results = []
    for at in range(0, len(handles), PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for handle in handles[at : at + PIPELINE]:
            pipeline.blpop([f"result:{handle}"], timeout=TIMEOUT_S)
        results += [pickle.loads(message) for _, message in pipeline.execute()]
    return results


def _enqueue(to: Any, name: str, value: Any) -> str:
    task_id = uuid.uuid4().hex
    to.lpush("queue", pickle.dumps((task_id, name, (value,)), 5))
    return task_id


def work() -> None:
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    while not stopping:
        taken = client.brpop(["queue"], timeout=1)
        if taken is None:
            continue
        messages = [taken[1]]
        if VARIANT == "batch":
            messages += client.rpop("queue", BATCH - 1) or []
        pipeline = client.pipeline(transaction=False)
        for message in messages:
            task_id, name, args = pickle.loads(message)
            pipeline.rpush(f"result:{task_id}", pickle.dumps(TASKS[name](*args), 5))
            pipeline.expire(f"result:{task_id}", RESULT_S)
        pipeline.execute()


if __name__ == "__main__":
    work()
