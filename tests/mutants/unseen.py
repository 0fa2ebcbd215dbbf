"""Mutants that break a clause which the kit examines, in a way that the kit can't see: the place, the name, and why."""

UNSEEN: dict[tuple[str, str], str] = {}
