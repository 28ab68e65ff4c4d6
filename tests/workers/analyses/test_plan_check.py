"""A plan is rehearsed on zeros before data are read: its cost is exact, its bounds are checked."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from studies.catalogue import get as declared
from workers.analyses import plan_check, registry
from workers.analyses.noised_sum import Setting
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

ROUNDS_OF_SET_UP_AND_TRIPLES = 4


@pytest.mark.parametrize("sites", [2, 3, 4, 10])
@pytest.mark.parametrize("bins", [1, 12, 100])
def test_the_forecast_of_the_catalogue_is_what_the_rehearsal_counts(
    by_sex: dict[str, Any], sites: int, bins: int
) -> None:
    parameters = {**by_sex, "bins": bins}
    setting = Setting.of(parameters, suppress_below=11, scale=Fraction(1))
    declaration = declared("kaplan-meier", 1)

    cost = plan_check.rehearse(
        registry.get("kaplan-meier/1"), setting, declaration.cells(parameters), sites
    )

    forecast = declaration.forecast(parameters, sites)
    assert cost.rounds + ROUNDS_OF_SET_UP_AND_TRIPLES == forecast.rounds
    assert cost.output_elements == declaration.opened_cells(parameters)


@pytest.mark.parametrize("scale", [None, Fraction(1), Fraction(20)])
def test_noise_of_every_usual_scale_fits(by_sex: dict[str, Any], scale: Fraction | None) -> None:
    setting = Setting.of(by_sex, suppress_below=11, scale=scale)
    cost = plan_check.rehearse(registry.get("kaplan-meier/1"), setting, 48, 3)
    assert cost.triples


def test_a_plan_that_could_wrap_is_refused_with_its_step(by_sex: dict[str, Any]) -> None:
    class Wrapping:
        @staticmethod
        def secure_step(
            engine: Engine, vector: np.ndarray, noise: np.ndarray | None, setting: Setting
        ) -> Protocol[Secret]:
            [first, *_] = yield from engine.input_from(
                range(engine.party.n),  # type: ignore[arg-type]
                vector,
                vector.shape,
                Range(0, 10**5),
            )
            with engine.step("fourth moment"):
                square = yield from engine.square(first)
                return (yield from engine.square(square))

    setting = Setting.of(by_sex, suppress_below=11, scale=None)
    with pytest.raises(LocalProtocolError, match=r"in step fourth moment: a value could reach"):
        plan_check.rehearse(Wrapping(), setting, 4, 3)  # type: ignore[arg-type]
