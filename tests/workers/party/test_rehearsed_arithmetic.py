"""A plan whose numbers could wrap is refused at the site, with its step, before data are read."""

from typing import Any

import pytest

from governance.errors import GovernanceError
from tests.factories.evidence import Consortium
from tests.workers.party.consortium_site import Attempt
from tests.workers.party.conversation import nothing_given_away
from tests.workers.party.lying_portal import lying_portal
from workers.analyses import kaplan_meier
from workers.mpc.ranges import Range
from workers.party import data_access
from workers.party.home import SiteHome
from workers.party.rehearsed_arithmetic import cost_of


def test_what_a_run_costs_is_known_from_the_plan(consortium: Consortium) -> None:
    cost = cost_of(consortium.plan())
    assert cost.output_elements == 52
    assert cost.rounds == 15
    assert cost.products > 24


def test_a_plan_that_could_wrap_is_refused_by_name(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaplan_meier, "PERSONS_AT_ONE_SITE", Range(0, 2**62))
    with pytest.raises(GovernanceError) as refused:
        cost_of(consortium.plan())
    assert refused.value.code == "plan_could_wrap"
    assert "in step the noised sum: a value could reach" in refused.value.sentence


async def test_the_site_s_agent_refuses_it_before_any_data_are_read(
    home: SiteHome, consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(*_: Any) -> Any:
        raise AssertionError("data were read")

    monkeypatch.setattr(data_access, "load", unread)
    monkeypatch.setattr(kaplan_meier, "PERSONS_AT_ONE_SITE", Range(0, 2**62))
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        answer = await portal.ask(attempt.invitation())
    assert (answer["type"], answer["code"]) == ("refusal", "plan_could_wrap")
    assert nothing_given_away(home)
