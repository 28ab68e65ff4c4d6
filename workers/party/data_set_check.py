"""Whether the data set that a plan names is fit for it, by the site's signed register alone.

No row is read: a refusal from here tells the portal nothing that the register has not told it.
"""

from __future__ import annotations

from governance.errors import refusal
from governance.evidence import Verified
from governance.statements.registers import DataSetRegister, RegisteredDataSet
from governance.statements.run_statements import OfferedDataSet
from studies.plan import StudyPlan
from workers.party.data_sets import OPEN_KINDS, signed_register
from workers.party.home import SiteHome

_DATA_MODELS = {"csv": "table", "omop-csv": "omop"}


def check_data_set(home: SiteHome, verified: Verified, *, site: str) -> OfferedDataSet:
    """Return the data set of the plan, once the register says that it can answer the plan.

    *Raises* Refusal data_set_unknown, column_unknown, rehearsal_on_confidential_data.
    """
    plan, envelope = verified.plan, signed_register(home)
    name = plan.data_set
    data_set = DataSetRegister.of(envelope).data_set(name)
    problem = "it is not registered" if data_set is None else _unfit(data_set, plan)
    if data_set is None or problem:
        raise refusal("data_set_unknown", site=site, name=name, problem=problem)
    if missing := _missing_columns(data_set, plan):
        raise refusal("column_unknown", site=site, name=name, column=" or ".join(missing))
    if plan.is_rehearsal and data_set.kind not in OPEN_KINDS:
        raise refusal("rehearsal_on_confidential_data", site=site, name=name)
    return OfferedDataSet(name, data_set.kind, envelope.digest)


def _unfit(data_set: RegisteredDataSet, plan: StudyPlan) -> str:
    """Return why data of this format cannot answer the plan, or an empty text."""
    model = _DATA_MODELS[data_set.format]
    if model not in plan.declaration.data_models:
        return f"{plan.declaration.identifier} does not read {data_set.format}"
    if plan.cohort.needs_records and model != "omop":
        return f"the cohort asks for OMOP records, which {data_set.format} does not have"
    return ""


def _missing_columns(data_set: RegisteredDataSet, plan: StudyPlan) -> list[str]:
    """Return the columns of persons that the plan names and the register does not."""
    table = "person." if data_set.format == "omop-csv" else ""
    named = dict.fromkeys([*plan.declaration.columns(plan.parameters), *plan.cohort.columns])
    return [column for column in named if f"{table}{column}" not in data_set.columns]
