"""Pools of workers: threads in `worq.pool.thread`, processes in `worq.pool.process`. Source: SPEC.md, section 9."""
