"""Mutants that break a clause which the kit examines, in a way that it can't see, or can't name: the place, the name, and why."""

HANGS = "`claim(0)` does not come back, so neither does the check: an implementer sees which test hangs, but no clause."
ONE_URL = "The kit is told how queues are made at one place; that another URL is another place it can't know."
LIFE = (
    "How long a queue lives that nobody has open is its own affair: the kit keeps one object open."
)
HANDLER = "Only what comes in the midst of a wait, as a signal's handler does, shows it."
MANY_DEADLINES = (
    "It takes more than 64 deadlines that no longer hold, and no history of the kit is so long."
)
PHYSICAL = "How long a server keeps the keys that nobody asks for any more is counted by its own clock, in days."

UNSEEN: dict[tuple[str, str], str] = {
    ("memory", "ZeroWaitsForEver"): HANGS,
    ("redis", "ZeroWaitsForEver"): HANGS,
    ("memory", "QueueByNameAlone"): ONE_URL,
    ("memory", "CloseDropsTheTasks"): LIFE,
    ("memory", "AGateForgets"): HANDLER,
    ("memory", "HeapWithoutOrder"): MANY_DEADLINES,
    ("redis", "NoPhysicalExpiry"): PHYSICAL,
    ("redis", "PhysicalExpiryOfTheWaiting"): PHYSICAL,
}
