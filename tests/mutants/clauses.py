"""Which clauses the kit may name for a mutant, and which mutants it ought to name one for."""

from tests.mutants.mutant import BACKENDS, Mutant
from worq.testing.report import examined

# Each clause, and those by which its mistakes are seen, or that say the same of other operations.
RELATED: dict[str, str] = {
    "SUB-3": "SUB-6 STA-1 BRK-3",
    "SUB-4": "SUB-5 SUB-8 OUT-5",
    "SUB-5": "SUB-6 SUB-7 SUB-8 OUT-5",
    "SUB-6": "SUB-3 SUB-7",
    "SUB-7": "SUB-6 CLM-1",
    "SUB-8": "SUB-5",
    "CLM-1": "TIM-1 TIM-3 TIM-4 ENV-WAIT-6",
    "CLM-3": "CLM-1 GAR-3",
    "FIN-2": "OUT-1",
    "FIN-4": "POP-5 TIM-1 TIM-4 TIM-5",
    "HRT-1": "TIM-1 TIM-3 TIM-4",
    "DSC-1": "CLM-1 OUT-6 SIZ-1",
    "PRG-1": "DSC-1 SIZ-1 OUT-7",
    "SIZ-1": "SUB-7",
    "STA-1": "SUB-7",
    "TOK-3": "TOK-1",
    "TOK-4": "RSV-4 RSV-2",
    "POP-5": "TIM-1 TIM-5",
    "TIM-5": "TIM-1",
    "TIM-1": "TIM-3 TIM-4 TIM-5",
    "TIM-2": "TIM-1 TIM-3 TIM-4 CLM-1",
    "TIM-3": "CLM-1 CLM-4 OUT-2 POP-3 REL-1 TIM-1",
    "TIM-4": "TIM-1 OUT-6 STA-1",
    "OUT-5": "TIM-5",
    "OUT-1": "FIN-2 ARG-3 CLM-1",
    "OUT-2": "DSC-1 OUT-6",
    "OUT-3": "OUT-5 FIN-2",
    "OUT-6": "TIM-4 DSC-1 DSC-2",
    "OUT-7": "DSC-1 FIN-4 OUT-6",
    "ARG-1": "CLM-4",
    "ARG-3": "DSC-1",
    "ARG-4": "CLM-1 ARG-3",
    "DFR-2": "ARG-3 ARG-4 DFR-1",
    "RSV-1": "RSV-2",
    "RSV-4": "FIN-2 POP-3",
    "RSV-2": "RSV-1 RSV-4",
    "GAR-1": "DSC-1 CLM-1",
    "GAR-2": "GAR-3",
    "GAR-3": "GAR-2 CLM-3 CLM-4",
    "ENV-SQLITE-1": "SUB-6",
    "ENV-SQLITE-8": "SUB-6",
}
# That nothing is left of a queue, which the kit sees without a clause, since each backend has its own.
LEFT = frozenset({"ENV-REDIS-5", "ENV-SQLITE-8"})


def is_for_the_kit(mutant: Mutant) -> bool:
    """Whether a backend answers for a clause that it breaks, and the kit examines that."""
    clauses = {*mutant.clauses.split()}
    return mutant.place in BACKENDS and not clauses.isdisjoint({*examined(), *LEFT})
