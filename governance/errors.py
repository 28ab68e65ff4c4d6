"""What governance raises. Every error has a code of `governance.reasons` and one sentence.

    GovernanceError
    ├── StatementError      an envelope, payload or signature is not what it must be
    ├── RosterError         a roster, or a chain of them, does not hold together
    ├── QuorumError         the decisions at hand do not meet the rule
    ├── IllegalTransition   the state table has no such step
    └── Refusal             the evidence does not permit what was asked; `site` where one is named

An error never moves a state.
"""

from __future__ import annotations

from governance.reasons import REASONS, Details, sentence


class GovernanceError(ValueError):
    """A code that programs compare and a sentence that people read."""

    def __init__(self, code: str, sentence: str) -> None:
        if code not in REASONS:
            raise LookupError(f"expected a code of governance.reasons, got {code!r}")
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class StatementError(GovernanceError):
    """An envelope, its payload or its signature is not what it must be."""


class RosterError(GovernanceError):
    """A roster, or a chain of rosters, does not hold together."""


class QuorumError(GovernanceError):
    """The decisions at hand do not meet the rule."""


class IllegalTransition(GovernanceError):  # noqa: N818 - the glossary of states has this name
    """The state table has no such step."""


class Refusal(GovernanceError):  # noqa: N818 - what people call it
    """The evidence does not permit what was asked."""

    def __init__(self, code: str, sentence: str, *, site: str = "") -> None:
        super().__init__(code, sentence)
        self.site = site


def malformed(problem: str) -> StatementError:
    """Return the error for a statement that cannot be read."""
    return StatementError("statement_malformed", sentence("statement_malformed", problem=problem))


def refusal(code: str, *, site: str = "", **details: Details) -> Refusal:
    """Return the refusal for `code`, its sentence filled in with `site` and `details`."""
    return Refusal(code, sentence(code, site=site, **details), site=site)
