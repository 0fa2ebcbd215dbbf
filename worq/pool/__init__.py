"""Pools of workers: threads in `worq.pool.thread`. Source: SPEC.md, section 9."""
