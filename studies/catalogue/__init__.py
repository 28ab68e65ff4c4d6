"""The catalogue of computation classes: what may be asked, apart from how it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from studies.catalogue.cohort_count import COHORT_COUNT
from studies.catalogue.declaration import Declaration, Forecast, ParameterError
from studies.catalogue.kaplan_meier import KAPLAN_MEIER

__all__ = [
    "CATALOGUE",
    "Declaration",
    "Forecast",
    "ParameterError",
    "class_documents",
    "get",
]

CATALOGUE: Mapping[str, Declaration] = MappingProxyType(
    {declaration.identifier: declaration for declaration in (COHORT_COUNT, KAPLAN_MEIER)}
)
"""Every class this version of the software can run, by identifier (``kaplan-meier/1``)."""


def get(name: str, version: int) -> Declaration:
    """Return the declaration of class `name` in `version`.

    *Raises* KeyError saying which classes there are.
    """
    try:
        return CATALOGUE[f"{name}/{version}"]
    except KeyError:
        known = ", ".join(sorted(CATALOGUE))
        raise KeyError(
            f"expected a class of this catalogue ({known}), got {name}/{version}"
        ) from None


def class_documents() -> dict[str, dict[str, Any]]:
    """Return, by identifier, every class document and the digest that approvals sign."""
    return {
        identifier: {"digest": declaration.digest, "document": declaration.to_json()}
        for identifier, declaration in CATALOGUE.items()
    }
