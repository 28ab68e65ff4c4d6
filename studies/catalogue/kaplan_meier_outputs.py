"""Every key of the released JSON of ``kaplan-meier/1``: what it means, and in what unit.

Any figure may be "suppressed" (small numbers) and, where it says so, null (not estimable).
"""

from __future__ import annotations

from studies.catalogue.declaration import Echo, Output

_TIME = "days"
_SHARE = "share of 1"


def _read(name: str, meaning: str, unit: str) -> Output:
    return Output(name, meaning, unit, "post-processing")


OUTPUTS = (
    Output(
        "table.events[][]",
        "noised persons with the event, by group and time bin",
        "persons",
        "discrete Laplace",
    ),
    Output(
        "table.censored[][]",
        "noised persons censored, by group and time bin",
        "persons",
        "discrete Laplace",
    ),
    _read("curves[].persons", "persons in the group: those at risk at time 0", "persons"),
    _read("curves[].persons_noise_sd", "noise standard deviation of persons", "persons"),
    _read("curves[].events", "persons with the event within the grid", "persons"),
    _read("curves[].events_noise_sd", "noise standard deviation of events", "persons"),
    _read(
        "curves[].median.time",
        "first bin end where survival is at most 1/2; null if the curve stays above",
        _TIME,
    ),
    _read(
        "curves[].median.lower",
        "first bin end where the lower limit is at most 1/2; null if it stays above",
        _TIME,
    ),
    _read(
        "curves[].median.upper",
        "first bin end where the upper limit is at most 1/2; null if it stays above",
        _TIME,
    ),
    _read(
        "curves[].median.noise_sd",
        "noise standard deviation of the median; null if a tenth of the redraws reached none",
        _TIME,
    ),
    _read("curves[].steps[].at_risk", "persons at risk when the bin begins", "persons"),
    _read("curves[].steps[].at_risk_noise_sd", "noise standard deviation of at_risk", "persons"),
    _read("curves[].steps[].survival", "survival at the end of the bin", _SHARE),
    _read(
        "curves[].steps[].sampling_error",
        "Greenwood's standard error of survival, from the sample alone; null where survival is 0",
        _SHARE,
    ),
    _read("curves[].steps[].noise_sd", "noise standard deviation of survival", _SHARE),
    _read(
        "curves[].steps[].standard_error",
        "root of the two variances' sum: sample and noise; null where survival is 0",
        _SHARE,
    ),
    _read("curves[].steps[].lower", "lower limit for survival, noise included", _SHARE),
    _read("curves[].steps[].upper", "upper limit for survival, noise included", _SHARE),
    _read("log_rank.status", "'released' or 'suppressed'", "text"),
    _read("log_rank.reason", "why the test is suppressed, in words; empty if it is not", "text"),
    _read("log_rank.observed[]", "events by group", "persons"),
    _read("log_rank.observed_noise_sd[]", "noise standard deviation of observed", "persons"),
    _read(
        "log_rank.expected[]",
        "events by group if all groups had the same survival",
        "persons",
    ),
    _read("log_rank.expected_noise_sd[]", "noise standard deviation of expected", "persons"),
    _read(
        "log_rank.chi_square",
        "log-rank statistic; the covariance includes that of the noise",
        "none",
    ),
    _read("log_rank.degrees_of_freedom", "groups with persons at risk, less one", "none"),
    _read("log_rank.p", "probability of a larger chi-square if survival is the same", _SHARE),
    _read(
        "log_rank.z_noise_sd[]",
        "noise standard deviation of (observed - expected) / its sampling error, by group; null "
        "where that error is 0",
        "none",
    ),
)

ECHOES = (
    Echo("analysis", "the class", "text"),
    Echo("unit", "unit of time", "text"),
    Echo("confidence", "level of every interval", "decimal text"),
    Echo("grid.bin_width", "width of a time bin", _TIME),
    Echo("grid.bins", "number of time bins", "bins"),
    Echo("grid.estimator", "'Kaplan-Meier' for bins of 1 day, else 'life table'", "text"),
    Echo("noise.mechanism", "how noise was made; 'none (rehearsal)' without noise", "text"),
    Echo("noise.epsilon", "epsilon of the plan", "decimal text"),
    Echo("noise.sensitivity", "how far one person moves the table (L1)", "persons"),
    Echo("noise.parties", "how many parties added a noise share", "parties"),
    Echo("noise.collusion_bound", "how many noise shares may be given away", "parties"),
    Echo("noise.cell_standard_deviation", "standard deviation of the noise in one cell", "persons"),
    Echo("noise.replicates", "how often noise was redrawn to find noise SDs", "redraws"),
    Echo("suppress_below", "the smallest noised number of persons that is shown", "persons"),
    Echo("curves[].value", "the group's value in the data", "text"),
    Echo("curves[].label", "the group's name", "text"),
    Echo("curves[].steps[].from", "begin of the time bin, itself not in it", _TIME),
    Echo("curves[].steps[].to", "end of the time bin, itself in it", _TIME),
)
