"""`python -m benchmarks.prober URL`: for each line of input, the longest PING since the last, in milliseconds."""

import select
import sys
import time

import redis


def main(url: str) -> None:
    longest_s = 0.0
    with redis.Redis.from_url(url) as client:
        while True:
            begin_s = time.perf_counter()
            client.ping()
            longest_s = max(longest_s, time.perf_counter() - begin_s)
            if select.select([sys.stdin], [], [], 0)[0]:
                if not sys.stdin.readline():
                    return
                print(1000 * longest_s, flush=True)
                longest_s = 0.0


if __name__ == "__main__":
    main(sys.argv[1])
