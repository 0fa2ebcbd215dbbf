"""The engines that hunt mutants, by name. Nothing here imports worq: `hunts` does, in a process of its own."""

from typing import NamedTuple


class Engine(NamedTuple):
    """`tests`: the files of tests that it runs; none: it is a function of `hunts`.

    `draws`: what it does depends on the seed. Its steps are operations, actions of a life, or tests.
    """

    name: str
    tests: tuple[str, ...] = ()
    draws: bool = False


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("smoke"),
        Engine("quick", draws=True),
        Engine("kit", draws=True),
        Engine("whole kit", draws=True),
        Engine("stories"),
        Engine("exhaustive"),
        Engine("bulks"),
        Engine("vectors"),
        Engine("rules", draws=True),
        Engine("one rule", draws=True),
        Engine("walk", draws=True),
        Engine("interleavings"),
        Engine("linearizability", draws=True),
        Engine("lives", draws=True),
        Engine("walk of life", draws=True),
        Engine("examples", ("backends/test_queue.py",)),
        Engine("bulk", ("backends/test_bulk.py",)),
        Engine("one by one", ("unit/test_bulk.py",)),
        Engine("scripts of many", ("backends/on_redis/test_redis_bulk.py",)),
        Engine("bad input", ("backends/test_bad_input.py",)),
        Engine("waiting", ("backends/test_waiting.py",)),
        Engine("threads", ("backends/test_threads.py",), draws=True),
        Engine("interruptions", ("backends/test_interruptions.py",)),
        Engine("unit", ("unit/test_memory.py", "unit/test_memory_handlers.py")),
        Engine(
            "tests of memory",
            (
                "unit/test_memory.py",
                "unit/test_memory_handlers.py",
                "backends/test_queue.py",
                "backends/test_waiting.py",
            ),
        ),
        Engine(
            "model", ("model/test_table.py", "model/test_invariants.py", "stateful/test_queue.py")
        ),
        Engine("broker", ("backends/test_broker.py", "backends/test_deferred.py")),
        Engine("many", ("backends/test_many.py",)),
        Engine(
            "api",
            ("unit/test_core.py", "unit/test_task.py", "unit/test_urls.py", "unit/test_misuse.py"),
        ),
        Engine(
            "security", ("unit/test_signed.py", "unit/test_plain.py", "backends/test_security.py")
        ),
        Engine("pool", ("pool/test_thread.py",), draws=True),
        Engine("coroutines", ("pool/test_coroutines.py",)),
        Engine("aio", ("aio/test_aio.py",)),
        Engine("arrivals", ("aio/test_arrivals.py",)),
        Engine("aio memory", ("aio/test_aio_in_memory.py",)),
        Engine("aio on Redis", ("aio/test_aio_on_redis.py",)),
        Engine("next claim", ("pool/test_next_claim.py",)),
        Engine("processes", ("pool/test_process.py",), draws=True),
        Engine("feeds", ("pool/test_feed.py",), draws=True),
        Engine("receipts", ("backends/on_redis/test_redis_receipts.py",)),
        Engine("bounds", ("backends/on_redis/test_redis_bounds.py",)),
        Engine("connections", ("backends/on_redis/test_redis_connections.py",), draws=True),
        Engine("wakes", ("backends/on_redis/test_redis_wakes.py",), draws=True),
        Engine("duels", ("stateful/test_redis_interleavings.py",)),
        Engine("lanes", ("backends/on_redis/test_redis_lanes.py",)),
        Engine("keys", ("backends/on_redis/test_redis_keys.py",)),
        Engine("servers", ("backends/on_redis/test_redis_servers.py",)),
        Engine("seeds", ("backends/on_redis/test_redis_seeds.py",)),
        Engine("sentinel", ("faults/test_sentinel.py",)),
        Engine("cluster", ("faults/test_cluster.py",)),
        Engine("transactions", ("backends/on_sqlite/test_sqlite_bounds.py",)),
        Engine("files", ("backends/on_sqlite/test_sqlite_files.py",)),
        Engine("forks", ("backends/on_sqlite/test_sqlite_forks.py",)),
        Engine("other processes", ("backends/on_sqlite/test_sqlite_waits.py",)),
        Engine("signs", ("backends/on_sqlite/test_sqlite_introspection.py",)),
        Engine("kills", ("backends/on_sqlite/test_sqlite_kills.py",), draws=True),
    )
}
