"""The chart: bars of what each peer reaches, as a ratio to LPUSH. Plain SVG, which follows the reader's dark mode."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from benchmarks.peers import Peer
from benchmarks.reach import number
from benchmarks.samples import Samples

PANELS: Final = (
    ("enqueue, x", "Enqueue, single calls"),
    ("drain, x", "Drain, one worker"),
    ("end to end, x", "Submit … result, single calls"),
)
WIDTH: Final = 960
NAMES: Final = 180
PANEL: Final = (WIDTH - NAMES) // len(PANELS)
ROW: Final = 24
TOP: Final = 64
BAR: Final = 14
VALUE: Final = 44
"""Room for the figure behind the longest bar."""

LABEL: Final = "worq, its peers and the floors, as ratios to LPUSH"
TITLE: Final = (
    "Tasks a second, as a ratio to LPUSH by redis-py around the same slice (more is better)"
)
STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .head { font-size: 12px; fill: #57606a } .value { font-size: 11px; fill: #57606a }
.worq { fill: #0969da } .floor { fill: #8c959f } .rival { fill: #d0a86e } .mine { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .head, .value { fill: #9198a1 }
  .worq { fill: #4493f8 } .floor { fill: #656c76 } .rival { fill: #9e7b46 }
}"""


class Bar(NamedTuple):
    peer: Peer
    values: Sequence[float | None]


def chart(samples: Samples, peers: Sequence[Peer]) -> str:
    """The SVG. Peers on Redis, the fastest drain first."""
    bars = [
        Bar(peer, [samples.get(measure, peer.name) for measure, _ in PANELS])
        for peer in peers
        if peer.group == "redis"
    ]
    bars = [bar for bar in bars if any(value is not None for value in bar.values)]
    bars.sort(key=lambda bar: -(bar.values[1] or 0))
    most = [max((bar.values[n] or 0 for bar in bars), default=0) or 1 for n in range(len(PANELS))]
    height = TOP + ROW * len(bars) + 12
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{LABEL}">',
        f"<style>{STYLE}</style>",
        f'<text x="0" y="18" class="title">{TITLE}</text>',
        *_heads(),
    ]
    for number_of_row, bar in enumerate(bars):
        lines += _row(bar, TOP + ROW * number_of_row, most)
    return "\n".join([*lines, "</svg>", ""])


def _heads() -> list[str]:
    return [
        f'<text x="{NAMES + PANEL * n}" y="46" class="head">{escape(title)}</text>'
        for n, (_, title) in enumerate(PANELS)
    ]


def _row(bar: Bar, y: int, most: Sequence[float]) -> list[str]:
    kind = "worq" if bar.peer.is_worq else "floor" if bar.peer.is_floor else "rival"
    mine = ' class="mine"' if bar.peer.is_worq else ""
    lines = [f'<text x="0" y="{y + 12}"{mine}>{escape(bar.peer.name)}</text>']
    for n, value in enumerate(bar.values):
        x = NAMES + PANEL * n
        width = (PANEL - VALUE - 12) * (value or 0) / most[n]
        if value is not None:
            lines.append(
                f'<rect x="{x}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" class="{kind}"/>'
            )
        shown = "–" if value is None else number(value)
        lines.append(
            f'<text x="{x + max(width, 1) + 5:.1f}" y="{y + 11}" class="value">{shown}</text>'
        )
    return lines
