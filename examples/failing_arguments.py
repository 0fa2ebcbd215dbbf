"""What becomes of a task when the task whose result it takes fails.

Prints:
    report never ran: argument read failed: FileNotFoundError: no such file: a.txt
    report says: nothing to read (FileNotFoundError: no such file: b.txt)
"""

import sys

from worq import Task, TaskFailure, get_broker
from worq.pool.thread import WorkerPool


def read(name: str) -> str:
    raise FileNotFoundError(f"no such file: {name}")


def report(text: str | TaskFailure) -> str:
    if isinstance(text, TaskFailure):
        return f"nothing to read ({text.error})"
    return f"{len(text)} characters"


def main(url: str) -> None:
    with get_broker(url, "reports") as broker:
        broker.expose(read)
        broker.expose(report)
        queue = broker.queue()
        strict = queue.report(queue.read("a.txt"))
        lenient = Task(queue.report, on_error=Task.PASS)(queue.read("b.txt"))
        with WorkerPool(broker):
            strict.wait(timeout=10)
            lenient.wait(timeout=10)
        try:
            print(strict.value)
        except TaskFailure as failure:
            cause = failure.__cause__  # the failure of `read`
            assert isinstance(cause, TaskFailure)
            print(f"report never ran: argument {cause.task_name} failed: {cause.error}")
        print("report says:", lenient.value)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
