"""How the API reads request bodies."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class StrictJSONParser(JSONParser):
    """JSON in request bodies; what is nested too deep is a malformed request, not our fault."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the parsed body. *Raises* ParseError."""
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("The JSON is nested too deep: send a plain object.") from None
