"""Why the portal does not do what a person asked for.

    ActionError                 code, sentence
    ├── ActionRefused           the situation does not allow it now
    │   └── NotPermitted        this person may not, whatever the situation
    └── InvalidFields           what was sent cannot be read; `fields` says which and why

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


class ActionRefused(ActionError):
    """The state of things does not allow the action now."""


class NotPermitted(ActionRefused):
    """This person may not do this."""


class InvalidFields(ActionError):
    """What was sent is not what the action takes."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("invalid", " ".join(fields.values()))
        self.fields = dict(fields)
