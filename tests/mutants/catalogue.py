"""All mutants."""

from tests.mutants.aio_mutants import AIO
from tests.mutants.broker_mutants import BROKER
from tests.mutants.bulk_mutants import BULKS
from tests.mutants.lane_mutants import LANES
from tests.mutants.memory_mutants import MEMORY
from tests.mutants.mutant import Mutant
from tests.mutants.pool_mutants import POOL
from tests.mutants.redis_mutants import REDIS
from tests.mutants.sqlite_mutants import SQLITE

MUTANTS: tuple[Mutant, ...] = (*MEMORY, *REDIS, *LANES, *SQLITE, *BULKS, *BROKER, *POOL, *AIO)
