"""Users of a server, as docs/redis.md has them."""

import re
import shlex
from pathlib import Path
from typing import Final

PASSWORD: Final = "s3cret-of-tests"
_DOCUMENT: Final = Path(__file__).parents[3] / "docs/redis.md"


def documented(user: str) -> list[str]:
    """What ACL SETUSER is told of that user, with this password."""
    text = _DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(rf"^ACL SETUSER {user} (.*)$", text, re.MULTILINE)
    return [word.replace(">PASSWORD", f">{PASSWORD}") for word in shlex.split(line)]
