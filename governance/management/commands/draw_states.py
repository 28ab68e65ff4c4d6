"""Draw ``docs/states.md`` from the tables of `governance.states`."""

from collections.abc import Mapping

from governance.management.generated import GeneratedFilesCommand
from governance.states import OWNER, TABLES, Actor, Machine, states

_INTRODUCTION = """# States

Drawn from `governance/states.py` by `manage.py draw_states`; do not edit.

*Who* makes a move: "system" stands for rules that apply when the facts call for it (a quorum is
reached, a moment has passed). *With* names who acts next. A run that has ended stays so: running
again makes a new one.
"""

_ACTORS = {
    Actor.PI: "PI",
    Actor.STEWARD: "data steward",
    Actor.SITE: "site's agent",
    Actor.PORTAL_OPERATOR: "portal operator",
    Actor.SYSTEM: "system",
}


class Command(GeneratedFilesCommand):
    help = "Draw docs/states.md from the state tables."

    def generate(self) -> Mapping[str, str]:
        """Return the drawing of every state machine."""
        return {"docs/states.md": _INTRODUCTION + "".join(map(_draw, Machine))}


def _draw(machine: Machine) -> str:
    rows = TABLES[machine]
    arrows = [f"    {row.source or '[*]'} --> {row.target} : {row.when}" for row in rows]
    moves = [
        f"| {row.source or '(new)'} | {row.target} | {_ACTORS[row.by]} | {row.when} | "
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
