"""What can go wrong in an analysis.

    AnalysisError
    ├── SiteDataError     the site's tables do not have the shape the plan needs
    └── NoisedTableError  an opened table does not have the shape its parameters imply

Messages name columns, kinds and lengths; never a value from the data.
"""


class AnalysisError(Exception):
    """An analysis cannot go on."""


class SiteDataError(AnalysisError):
    """A table or column that the plan names is missing or of the wrong kind."""


class NoisedTableError(AnalysisError):
    """What was opened is not a table of this analysis and these parameters."""
