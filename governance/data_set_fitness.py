"""Whether a data set, as its site's register describes it, can answer a plan. No row is read."""

from __future__ import annotations

from governance.statements.registers import RegisteredDataSet
from studies.plan import StudyPlan

_DATA_MODELS = {"csv": "table", "omop-csv": "omop"}


def unfit(data_set: RegisteredDataSet, plan: StudyPlan) -> str:
    """Return why data of this format cannot answer the plan, or an empty text."""
    model = _DATA_MODELS[data_set.format]
    if model not in plan.declaration.data_models:
        return f"{plan.declaration.identifier} does not read {data_set.format}"
    if plan.cohort.needs_records and model != "omop":
        return f"the cohort asks for OMOP records, which {data_set.format} does not have"
    return ""


def missing_columns(data_set: RegisteredDataSet, plan: StudyPlan) -> list[str]:
    """Return the columns of persons that the plan names and the register does not."""
    table = "person." if data_set.format == "omop-csv" else ""
    named = dict.fromkeys([*plan.declaration.columns(plan.parameters), *plan.cohort.columns])
    return [column for column in named if f"{table}{column}" not in data_set.columns]
