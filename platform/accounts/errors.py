"""Why the portal does not do what a person asked for.

    ActionError                  code, sentence
    ├── ActionRefusedError       the situation does not allow it now
    │   └── NotPermittedError    this person may not, whatever the situation
    └── InvalidFieldsError       what was sent cannot be read; `fields` says which and why

The sentence is written for people: a page and the API show the same one. An error never moves a
state.
"""

from collections.abc import Mapping


class ActionError(Exception):
    """An action was not carried out; nothing has changed."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class ActionRefusedError(ActionError):
    """The state of things does not allow the action now."""


class NotPermittedError(ActionRefusedError):
    """This person may not do this."""


class InvalidFieldsError(ActionError):
    """What was sent is not what the action takes."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("invalid", " ".join(fields.values()))
        self.fields = dict(fields)
