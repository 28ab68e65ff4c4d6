"""Which functions compute a computation class, by the identifier that its declaration has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workers.analyses import cohort_count, kaplan_meier, kaplan_meier_finish, kaplan_meier_twin
from workers.analyses.cohort_selection import Cohort
from workers.analyses.noised_sum import Setting
from workers.analyses.release_noise import ReleaseNoise
from workers.analyses.site_data import SiteData
from workers.analyses.site_report import SiteReport
from workers.mpc import engine, protocol, secret

Vector = npt.NDArray[np.int64]
Parameters = Mapping[str, Any]


class Finish(Protocol):
    """From what was opened to the released JSON; post-processing only."""

    def __call__(
        self,
        opened: Vector,
        parameters: Parameters,
        noise: ReleaseNoise | None,
        *,
        suppress_below: int,
    ) -> dict[str, Any]:
        """Return the released JSON."""
        ...


@dataclass(frozen=True)
class Analysis:
    """One analysis: what each site computes alone, what all compute together, what is read.

    `local_step` and `site_report` run at a site on its own data, `secure_step` at every party,
    `finish` beside the release gate, `twin` in rehearsals only.
    """

    local_step: Callable[[SiteData, Cohort, Parameters], Vector]
    site_report: Callable[[SiteData, Cohort, Parameters], SiteReport]
    secure_step: Callable[
        [engine.Engine, Vector, Vector | None, Setting], protocol.Protocol[secret.Secret]
    ]
    finish: Finish
    twin: Callable[[SiteData, Cohort, Parameters], dict[str, Any]]


ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        "cohort-count/1": Analysis(
            local_step=cohort_count.local_step,
            site_report=cohort_count.site_report,
            secure_step=cohort_count.secure_step,
            finish=cohort_count.finish,
            twin=cohort_count.twin,
        ),
        "kaplan-meier/1": Analysis(
            local_step=kaplan_meier.local_step,
            site_report=kaplan_meier.site_report,
            secure_step=kaplan_meier.secure_step,
            finish=kaplan_meier_finish.finish,
            twin=kaplan_meier_twin.twin,
        ),
    }
)


def get(identifier: str) -> Analysis:
    """Return the analysis of a class. *Raises* KeyError saying which classes there are."""
    try:
        return ANALYSES[identifier]
    except KeyError:
        known = ", ".join(sorted(ANALYSES))
        raise KeyError(f"expected one of {known}, got {identifier}") from None
