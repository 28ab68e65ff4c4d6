"""Draw ``docs/states.md`` from the tables of `governance.states`."""

from collections.abc import Mapping

from governance.management.generated import GeneratedFilesCommand
from governance.states import OWNER, TABLES, Machine, states

_INTRODUCTION = """# States

Drawn from `governance/states.py` by `manage.py draw_states`; do not edit.

`system` moves a state when the facts call for it: a quorum is reached, a moment has passed.
"""


class Command(GeneratedFilesCommand):
    help = "Draw docs/states.md from the state tables."

    def generate(self) -> Mapping[str, str]:
        """Return the drawing of every state machine."""
        return {"docs/states.md": _INTRODUCTION + "".join(map(_draw, Machine))}


def _draw(machine: Machine) -> str:
    rows = TABLES[machine]
    arrows = [f"    {row.source or '[*]'} --> {row.target} : {row.when}" for row in rows]
    moves = [
        f"| {row.source or '(new)'} | {row.target} | {row.by.value} | {row.when} | "
        f"{f'`{row.event}`' if row.event else 'by the entry before'} |"
        for row in rows
    ]
    owners = [
        f"| {state} | {OWNER[machine, state].removeprefix('With: ') or 'nobody'} |"
        for state in states(machine)
    ]
    lines = [
        f"\n## {machine.value.capitalize()}\n",
        "```mermaid",
        "stateDiagram-v2",
        *arrows,
        "```\n",
        "| from | to | who | when | audit event |",
        "|---|---|---|---|---|",
        *moves,
        "\n| state | with |",
        "|---|---|",
        *owners,
    ]
    return "\n".join(lines) + "\n"
