"""The report: the log verified, and released statistics beside the plaintext twin's.

The twin (lifelines, on the three hospitals' rows put together) is what the law forbids in earnest;
the demo's data are public.
"""

from collections.abc import Mapping
from typing import Any

from demo.founding import DATA, DATA_SETS, client_of
from demo.house import House
from demo.people import AUDITOR, SITES
from governance.roster import verify_chain
from governance.statements.envelope import Envelope
from workers.analyses import registry
from workers.analyses.site_data import pool
from workers.party.data_access import examine, load
from workers.party.home import SiteHome


def twin_of(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the plan's statistic on pooled rows, by an independent library."""
    data_set = next(one for one in DATA_SETS if one.name == plan["data_set"])
    tables = [
        load(
            examine(
                format_=data_set.format,
                path=DATA / site / data_set.path,
                person_column=data_set.person_column,
            )
        )
        for site in SITES
    ]
    name = f"{plan['class']['name']}/{plan['class']['version']}"
    return registry.get(name).twin(pool(tables), plan["cohort"], plan["parameters"])


def verify_log(house: House) -> str:
    """Verify the exported log offline by keys of the pinned roster, and return what was found.

    *Raises* HouseError when anything differs.
    """
    auditor = client_of(house, AUDITOR).sign_in()
    chain = [Envelope.parse(envelope) for envelope in auditor.get("roster/")["rosters"]]
    pinned = SiteHome(house.site_home(SITES[0])).configuration.pinned_roster
    roster = verify_chain(chain, pinned=str(pinned))
    bundle = house.home / "audit-log.jsonl"
    bundle.write_bytes(auditor.download("audit/export/"))
    witnesses = [word for key in roster.witnesses() for word in ("--witness", key.encode())]
    return house.run_module(
        *("audit.verify", str(bundle), "--log-key", roster.log_key.encode()),
        *("--quorum", str(roster.rules.cosignatures), *witnesses),
    )


def survival_report(result: Mapping[str, Any], twin: Mapping[str, Any]) -> str:
    """Return the released curves as text: every figure with its noise SD, beside the twin's."""
    noise = result["noise"]
    lines = [
        f"Kaplan-Meier by arm, {result['grid']['bins']} bins of {result['grid']['bin_width']}"
        f" {result['unit']}, epsilon {noise['epsilon']}; noise in one cell: SD"
        f" {_figure(noise['cell_standard_deviation'], 2)} persons",
        "",
        f"  {'':10}{'released':>12}{'noise SD':>10}{'95 % interval':>18}{'pooled twin':>14}",
    ]
    for arm, curve in enumerate(result["curves"]):
        lines.append(f"  {curve['label']}")
        lines.append(
            _row("persons", curve["persons"], curve["persons_noise_sd"], "", twin["persons"][arm])
        )
        lines.append(
            _row("events", curve["events"], curve["events_noise_sd"], "", twin["events"][arm])
        )
        for number, step in enumerate(curve["steps"]):
            interval = f"{_figure(step['lower'], 3)} to {_figure(step['upper'], 3)}"
            exact = twin["survival"][arm][number]
            lines.append(
                _row(f"S({step['to']})", step["survival"], step["noise_sd"], interval, exact, 3)
            )
        median = curve["median"]
        interval = f"{_figure(median['lower'], 0)} to {_figure(median['upper'], 0)}"
        lines.append(
            _row("median", median["time"], median["noise_sd"], interval, twin["median"][arm], 0)
        )
    lines += ["", *_log_rank(result["log_rank"], twin)]
    return "\n".join(lines)


def _log_rank(test: Mapping[str, Any], twin: Mapping[str, Any]) -> list[str]:
    if test["status"] == "suppressed":
        return [f"  log-rank: suppressed. {test['reason']}"]
    return [
        f"  log-rank: chi-squared {_figure(test['chi_square'], 2)}"
        f" (p = {_figure(test['p'], 4)}; SD of Z from the noise"
        f" {_figure(test['z_noise_sd'][0], 2)});"
        f" pooled twin {_figure(twin['chi_square'], 2)} (p = {_figure(twin['p'], 4)})"
    ]


def _row(name: str, released: Any, noise: Any, interval: str, exact: Any, decimals: int = 0) -> str:
    if released == "suppressed":
        noise = interval = ""
    return (
        f"    {name:10}{_figure(released, decimals):>10}{_figure(noise, max(decimals, 2)):>8}"
        f"{interval:>20}{_figure(exact, decimals):>14}"
    )


def _figure(value: Any, decimals: int) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.{decimals}f}"
