"""Whether the data set that a plan names is fit for it, by the site's signed register alone.

No row is read: a refusal from here tells the portal nothing that the register has not told it.
"""

from __future__ import annotations

from governance.data_set_fitness import missing_columns, unfit
from governance.errors import refusal
from governance.evidence import Verified
from governance.statements.registers import DataSetRegister
from governance.statements.run_statements import OfferedDataSet
from workers.party.data_sets import OPEN_KINDS, signed_register
from workers.party.home import SiteHome


def check_data_set(home: SiteHome, verified: Verified, *, site: str) -> OfferedDataSet:
    """Return the data set of the plan, once the register says that it can answer the plan.

    *Raises* Refusal data_set_unknown, column_unknown, rehearsal_on_confidential_data.
    """
    plan, envelope = verified.plan, signed_register(home)
    name = plan.data_set
    data_set = DataSetRegister.of(envelope).data_set(name)
    problem = "it is not registered" if data_set is None else unfit(data_set, plan)
    if data_set is None or problem:
        raise refusal("data_set_unknown", site=site, name=name, problem=problem)
    if missing := missing_columns(data_set, plan):
        raise refusal("column_unknown", site=site, name=name, column=" or ".join(missing))
    if plan.is_rehearsal and data_set.kind not in OPEN_KINDS:
        raise refusal("rehearsal_on_confidential_data", site=site, name=name)
    return OfferedDataSet(name, data_set.kind, envelope.digest)
