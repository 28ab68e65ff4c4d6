"""What a computation class declares: what may be asked, and what it costs and reveals.

A declaration is pure data (its JSON is what a governance committee approves, by digest) plus the
few functions of the parameters that need no engine: validation, size and forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast

import jsonschema

from audit import canonical
from studies.documents import COLUMN

Parameters: TypeAlias = Mapping[str, Any]
OutputKind: TypeAlias = Literal[
    "dp_statistic", "decision_bit", "directed_record", "exact_suppressed"
]


class ParameterError(ValueError):
    """A parameter is not what its class allows; `field` names it, as in ``groups[1].value``."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


@dataclass(frozen=True)
class Output:
    """One figure of the released JSON.

    `name` is its path (``curves[].persons``; ``[]`` stands for every item of a list);
    `sensitivity` is how far one person can move the noised table it is computed from (L1).
    """

    name: str
    meaning: str
    unit: str
    mechanism: Literal["discrete Laplace", "post-processing"]
    kind: OutputKind = "dp_statistic"
    sensitivity: int = 1


@dataclass(frozen=True)
class Echo:
    """A key of the released JSON that repeats the plan or the class and depends on no data."""

    name: str
    meaning: str
    unit: str


@dataclass(frozen=True)
class Card:
    """The class in plain words, one text per question that a steward or reviewer asks."""

    what_is_computed: str
    who_learns_what: str
    security_model: str
    noise: str
    suppression: str
    cost: str


@dataclass(frozen=True)
class Forecast:
    """What one run costs a party, before it runs.

    ``bytes_sent_per_party`` is an estimate, within a fifth of what a run takes: nearly all of it is
    the making of multiplication triples.

    *Units* bytes count message contents; the channel adds a header and 16 bytes per frame.
    """

    cells: int
    rounds: int
    comparisons: int
    bytes_sent_per_party: int
    bytes_opened_per_party: int


@dataclass(frozen=True)
class Sizes:
    """How large a computation is: what its parameters make of it.

    ``rows`` numbers are compared with the minimum in each of ``columns``; from the first that is
    below it, everything in the row stays hidden.
    """

    cells: int
    rows: int
    columns: int
    opened: int

    @property
    def comparisons(self) -> int:
        """How many secret numbers are compared."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Declaration:
    """A versioned, parameterised analysis with its bounds.

    `minimum_cohort` is checked by a site on its own cohort before consent, never at run time;
    `noise_collusion_bound` is how many colluding parties the noise withstands;
    `suppression_threshold` is the smallest noised number that is shown.
    """

    name: str
    version: int
    title: str
    card: Card
    parameter_schema: Mapping[str, Any]
    outputs: tuple[Output, ...]
    echoes: tuple[Echo, ...]
    profile: Literal["additive"]
    data_models: tuple[Literal["table", "omop"], ...]
    minimum_sites: int
    minimum_cohort: int
    maximum_epsilon: str
    noise_collusion_bound: int
    output_checks: int
    suppression_threshold: int
    suggested_plot: Literal["step curve", "single figure"]
    sizes_of: Callable[[Parameters], Sizes] = field(repr=False, compare=False)
    further_checks: Callable[[Parameters], None] = field(repr=False, compare=False)

    @property
    def identifier(self) -> str:
        """Return the name by which plans call the class, for example ``kaplan-meier/1``."""
        return f"{self.name}/{self.version}"

    @property
    def sensitivity(self) -> int:
        """Return how far one person at one site can move the noised table, in L1."""
        return max(output.sensitivity for output in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Return the class document: what the committee signs, as canonical JSON values."""
        return {
            "type": "quorate/computation-class/v1",
            "name": self.name,
            "version": self.version,
            "title": self.title,
            "card": asdict(self.card),
            "parameter_schema": dict(self.parameter_schema),
            "outputs": [asdict(output) for output in self.outputs],
            "echoes": [asdict(echo) for echo in self.echoes],
            "profile": self.profile,
            "data_models": list(self.data_models),
            "minimum_sites": self.minimum_sites,
            "minimum_cohort": self.minimum_cohort,
            "maximum_epsilon": self.maximum_epsilon,
            "noise_collusion_bound": self.noise_collusion_bound,
            "output_checks": self.output_checks,
            "suppression_threshold": self.suppression_threshold,
            "suggested_plot": self.suggested_plot,
        }

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the class document's canonical bytes, in hex."""
        return canonical.digest(self.to_json())

    def validate_parameters(self, parameters: Any) -> None:
        """Return when `parameters` are allowed.

        *Raises* ParameterError naming the first field that is not.
        """
        validator = jsonschema.Draft202012Validator(dict(self.parameter_schema))
        error = jsonschema.exceptions.best_match(validator.iter_errors(parameters))
        if error is not None:
            raise ParameterError(_field(error), _problem(error))
        self.further_checks(parameters)

    def cells(self, parameters: Parameters) -> int:
        """Return the length of the vector that every site shares."""
        return self.sizes_of(parameters).cells

    def opened_cells(self, parameters: Parameters) -> int:
        """Return how many numbers a run opens, hidden ones among them."""
        return self.sizes_of(parameters).opened

    def columns(self, parameters: Parameters) -> list[str]:
        """Return the columns that `parameters`, which are allowed, name.

        A parameter names a column when its schema takes what `studies.documents.COLUMN` takes.
        """
        schemas = self.parameter_schema["properties"]
        return [
            value
            for name, value in parameters.items()
            if schemas[name].get("pattern") == COLUMN["pattern"]
        ]

    def forecast(self, parameters: Parameters, sites: int) -> Forecast:
        """Return what one run among `sites` parties costs each of them.

        *Cost* of the `additive` profile: the sum itself takes nothing but keys. Every comparison of
        32-bit numbers takes (sites + 1) * 32 bit triples and sites - 1 integer triples for its
        result; every hidden number takes one integer triple. A triple of integers costs 600 bytes
        to every other site and one of bits 4.1, beside 16 and 0.25 when they are used; setting up
        the transfers that make them costs 12,352. Opening sends 8 bytes a number to the recipient.
        """
        sizes = self.sizes_of(parameters)
        levels = (sizes.columns - 1).bit_length()
        bits = sizes.comparisons * ((sites + 1) * _COMPARED_BITS + levels)
        integers = sizes.comparisons * (sites - 1) + sizes.opened
        to_each = _SET_UP_BYTES + 616 * _padded(integers) + 4.4 * (bits + 6 * 64)
        return Forecast(
            cells=sizes.cells,
            rounds=_PREPARING_ROUNDS + _online_rounds(sites, levels),
            comparisons=sizes.comparisons,
            bytes_sent_per_party=round(to_each) * (sites - 1),
            bytes_opened_per_party=8 * sizes.opened,
        )


_COMPARED_BITS = 32
_SET_UP_BYTES = 12_352
_PREPARING_ROUNDS = 5


def _padded(count: int) -> int:
    """Transfers come 64 at a time."""
    return -(-count // 64) * 64


def _online_rounds(sites: int, levels: int) -> int:
    """Adders, the carry, the rule's rows, the result's conversion, the hiding."""
    words, adders = sites, 0
    while words > 2:
        words, adders = words - words // 3, adders + 1
    return adders + 1 + (_COMPARED_BITS - 1).bit_length() + levels + (sites - 1).bit_length() + 1


def _field(error: jsonschema.ValidationError) -> str:
    """Name the offending field, also where the schema complains about its parent."""
    path = error.json_path.removeprefix("$").removeprefix(".")
    given, schema = cast("Any", error.instance), cast("dict[str, Any]", error.schema)
    names: list[str] = []
    if error.validator == "required":
        names = [name for name in schema["required"] if name not in given]
    elif error.validator == "additionalProperties":
        names = [name for name in given if name not in schema["properties"]]
    return ".".join(part for part in (path, *names[:1]) if part) or "parameters"


def _problem(error: jsonschema.ValidationError) -> str:
    if error.validator == "required":
        return "expected a value, got none"
    if error.validator == "additionalProperties":
        return "expected no such field; the class does not know it"
    return f"expected {error.validator} {error.validator_value!r}, got {error.instance!r}"[:300]
