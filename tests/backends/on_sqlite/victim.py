"""A process that does what it is told to a queue in a file, says after each operation what was answered, and is killed.

`python victim.py`: the URL and the operations come on its standard input, as a pickle; the answers go to its standard output.
"""

import os
import pickle
import sys

from worq.queue.sqlite import TaskQueue
from worq.testing.driver import carry_out


def main() -> None:
    url, name, program = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the test)
    queue = TaskQueue(url, name)
    for do in program:
        answer = pickle.dumps(carry_out(queue, do))
        os.write(1, len(answer).to_bytes(4) + answer)


if __name__ == "__main__":
    main()
