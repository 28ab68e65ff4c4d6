"""The geometry of a survival plot: from the released JSON to coordinates, and nothing else.

A curve is a line of steps: it stays level through a time bin and falls at the bin's end. It ends
where the released JSON says "suppressed" or null; nothing is drawn, guessed or joined beyond.

*Units*: coordinates are those of an SVG of `WIDTH` by `Plot.height`, y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

WIDTH = 720
LEFT, RIGHT, TOP = 60, 20, 14
CURVES_HEIGHT = 300
AXIS_HEIGHT = 46
ROW_HEIGHT = 20
SERIES = 8
"""How many kinds of line the style sheet tells apart; no class compares more groups."""

_MOST_TICKS = 7
_NICE = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 100)


@dataclass(frozen=True)
class Tick:
    """One mark of an axis: where it is, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class AtRisk:
    """The numbers at risk of one curve, below the ticks; `y` is their baseline."""

    y: float
    cells: tuple[Tick, ...]

    @property
    def line_y(self) -> float:
        """Where the sample of the curve's line stands, beside its row."""
        return self.y - 4


@dataclass(frozen=True)
class Curve:
    """One group: its line, its band of intervals, and its row of numbers at risk.

    `line` and `band` are SVG paths, empty where nothing may be shown; `series` counts from 1.
    """

    label: str
    series: int
    line: str
    band: str
    ends_early: bool
    at_risk: AtRisk


@dataclass(frozen=True)
class Plot:
    """Everything that the template draws."""

    height: float
    left: float
    right: float
    top: float
    bottom: float
    times: tuple[Tick, ...]
    shares: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    unit: str
    last_time: int
    at_risk_title_y: float

    width: int = WIDTH

    @property
    def middle(self) -> float:
        """Where the title of the time axis is centred."""
        return (self.left + self.right) / 2


def survival_plot(result: Mapping[str, Any]) -> Plot:
    """Return the plot of a released ``kaplan-meier/1``.

    *Raises* KeyError when `result` is the JSON of another class.
    """
    width, bins = int(result["grid"]["bin_width"]), int(result["grid"]["bins"])
    last, bottom = width * bins, TOP + CURVES_HEIGHT
    times = tuple(
        Tick(_x(time, last), str(time)) for time in range(0, last + 1, tick_step(width, bins))
    )
    title_y = bottom + AXIS_HEIGHT + 12
    curves = tuple(
        _curve(curve, number, last, times, title_y + ROW_HEIGHT * number)
        for number, curve in enumerate(result["curves"], start=1)
    )
    return Plot(
        height=title_y + ROW_HEIGHT * len(curves) + 10,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=bottom,
        times=times,
        shares=tuple(Tick(_y(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)),
        curves=curves,
        unit=str(result["unit"]),
        last_time=last,
        at_risk_title_y=title_y,
    )


def tick_step(bin_width: int, bins: int) -> int:
    """Return the distance of the time axis's ticks: whole bins, at most seven steps of them."""
    for bins_per_tick in _NICE:
        if bins / bins_per_tick <= _MOST_TICKS:
            return bins_per_tick * bin_width
    return -(-bins // _MOST_TICKS) * bin_width


def _curve(
    curve: Mapping[str, Any], number: int, last: int, times: Sequence[Tick], y: float
) -> Curve:
    steps = list(_shown(curve["steps"]))
    return Curve(
        label=str(curve["label"]),
        series=(number - 1) % SERIES + 1,
        line=_line(steps, last),
        band=_band(steps, last),
        ends_early=len(steps) < len(curve["steps"]),
        at_risk=AtRisk(y, _at_risk(curve["steps"], last, times)),
    )


def _shown(steps: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps up to the first whose survival may not be, or cannot be, shown."""
    for step in steps:
        if not is_number(step["survival"]):
            return
        yield step


def _line(steps: Sequence[Mapping[str, Any]], last: int) -> str:
    if not steps:
        return ""
    path = f"M{_point(0, 1, last)}"
    for step in steps:
        path += f"H{_x(step['to'], last):g}V{_y(step['survival']):g}"
    return path


def _band(steps: Sequence[Mapping[str, Any]], last: int) -> str:
    """Return the area between the limits: one closed shape for each unbroken stretch of them."""
    shapes, stretch = [], list[Mapping[str, Any]]()
    for step in [*steps, {"lower": None, "upper": None}]:
        if is_number(step["lower"]) and is_number(step["upper"]):
            stretch.append(step)
        elif stretch:
            shapes.append(_shape(stretch, last))
            stretch = []
    return "".join(shapes)


def _shape(steps: Sequence[Mapping[str, Any]], last: int) -> str:
    """Return the band of consecutive steps; a bin's limits hold from its end to the next one's."""
    ends = [*(step["to"] for step in steps[1:]), steps[-1]["to"]]
    there = f"M{_point(steps[0]['to'], steps[0]['upper'], last)}"
    for step, end in zip(steps, ends, strict=True):
        there += f"V{_y(step['upper']):g}H{_x(end, last):g}"
    back = ""
    for step, end in zip(reversed(steps), reversed(ends), strict=True):
        back += f"H{_x(end, last):g}V{_y(step['lower']):g}"
    return f"{there}{back}H{_x(steps[0]['to'], last):g}Z"


def _at_risk(
    steps: Sequence[Mapping[str, Any]], last: int, times: Sequence[Tick]
) -> tuple[Tick, ...]:
    """Return who is at risk where a tick's bin begins; nobody counts where the last one ends."""
    beginning = {_x(step["from"], last): step["at_risk"] for step in steps}
    cells = []
    for tick in times:
        if tick.at in beginning:
            number = beginning[tick.at]
            cells.append(Tick(tick.at, str(number) if is_number(number) else "–"))
    return tuple(cells)


def is_number(figure: Any) -> TypeGuard[float]:
    """Tell whether a released figure is a number, not "suppressed" and not null."""
    return isinstance(figure, int | float) and not isinstance(figure, bool)


def _point(time: float, share: float, last: int) -> str:
    return f"{_x(time, last):g},{_y(share):g}"


def _x(time: float, last: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * time / last, 2)


def _y(share: float) -> float:
    return round(TOP + CURVES_HEIGHT * (1 - share), 2)
