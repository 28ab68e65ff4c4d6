# ruff: noqa: N818 - the names say what happened.
"""What can go wrong inside a site. Nothing here ever leaves it.

    PartyError
    ├── HomeError      the site's folder is missing, incomplete or malformed
    ├── DataError      a registered data set cannot be read
    ├── StateError     an attempt is not in the state that a step starts from
    └── LeaseLost      another worker, or the agent, has taken the attempt over

What the portal is told is a `governance.evidence.Refusal` before inputs are loaded, and one code
afterwards. A message may name files, columns, rows and states; it never carries a value from a
patient's record, a share, a key or noise, for errors end up in journals.
"""


class PartyError(Exception):
    """Something inside this site has to be put right by its operator."""


class HomeError(PartyError):
    """The site's folder does not hold what it should; the message says what to do."""


class DataError(PartyError):
    """A registered data set cannot be read as it was registered."""


class StateError(PartyError):
    """An attempt was not in the state that a step starts from; nothing was changed."""


class LeaseLost(PartyError):
    """The attempt belongs to someone else now; what this worker computed is discarded."""
