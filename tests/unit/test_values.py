"""Tokens are made once, in whatever process."""

import subprocess
import sys
from pathlib import Path

from worq.values import Token

FORK = """
import os
from worq.values import Token
Token.new()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
print(*(Token.new().incarnation.hex() for _ in range(300)), flush=True)
"""


def test_no_two_tokens_are_the_same() -> None:
    tokens = [Token.new() for _ in range(1_000)]
    assert len(set(tokens)) == 1_000
    assert {(len(token.incarnation), token.start) for token in tokens} == {(16, 0)}


def test_a_fork_makes_tokens_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    made = done.stdout.split()
    assert len(set(made)) == len(made) == 600
