"""The demo's cast: invented people of four invented organisations, one for every role."""

from dataclasses import dataclass

PASSWORD = "three-hospitals-one-answer"  # noqa: S105  (the demo prints it; nothing else uses it)


@dataclass(frozen=True)
class Organisation:
    slug: str
    name: str
    has_site: bool


@dataclass(frozen=True)
class Person:
    username: str
    first_name: str
    last_name: str
    organisation: str
    roles: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


ORGANISATIONS = (
    Organisation("alder", "Alder Hospital", has_site=True),
    Organisation("birch", "Birch Cancer Centre", has_site=True),
    Organisation("cedar", "Cedar University Hospital", has_site=True),
    Organisation("lighthouse", "Lighthouse Research Ethics Office", has_site=False),
)
SITES = tuple(organisation.slug for organisation in ORGANISATIONS if organisation.has_site)

OPERATOR = Person("olga", "Olga", "Petrov", "lighthouse", ("portal_operator",))
PI = Person("ines", "Inês", "Duarte", "alder", ("pi",))
REVIEWERS = (
    Person("ruth", "Ruth", "Okafor", "birch", ("reviewer",)),
    Person("tomas", "Tomas", "Lindqvist", "cedar", ("reviewer",)),
)
CHAIR = Person("mei", "Mei", "Tanaka", "lighthouse", ("chair",))
STEWARDS = (
    Person("anna", "Anna", "Keller", "alder", ("steward",)),
    Person("ben", "Ben", "Osei", "birch", ("steward",)),
    Person("clara", "Clara", "Rossi", "cedar", ("steward",)),
)
CHECKERS = (
    Person("dario", "Dario", "Novak", "birch", ("checker",)),
    Person("elif", "Elif", "Demir", "lighthouse", ("checker",)),
)
AUDITOR = Person("frank", "Frank", "Moreau", "lighthouse", ("auditor",))

EVERYONE = (OPERATOR, PI, *REVIEWERS, CHAIR, *STEWARDS, *CHECKERS, AUDITOR)
