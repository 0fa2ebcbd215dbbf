"""The backend for Redis and Valkey. Its keys, scripts and failures are described in docs/redis.md."""

from worq.queue.redis.queue import TaskQueue

__all__ = ["TaskQueue"]
