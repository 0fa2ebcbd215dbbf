"""All mutants."""

from tests.mutants.memory_mutants import MEMORY
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = MEMORY
