"""Write the JSON Schemas that stand beside the parsers to ``docs/protocols/schemas/``."""

import json
from collections.abc import Mapping

from governance.management.generated import GeneratedFilesCommand
from governance.schemas import DOCUMENTS
from studies.documents import Schema
from workers.transport import control


class Command(GeneratedFilesCommand):
    help = "Write docs/protocols/schemas/*.json from the schemas beside the parsers."

    def generate(self) -> Mapping[str, str]:
        """Return every schema as indented JSON."""
        return {
            f"docs/protocols/schemas/{name}.json": json.dumps(schema, indent=2) + "\n"
            for name, schema in {**DOCUMENTS, **_messages()}.items()
        }


def _messages() -> dict[str, Schema]:
    """Return, for each side of the agent protocol, the schema of every message it may send."""
    return {
        f"messages-of-{sender.value}": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"https://quorate.org/schemas/messages-of-{sender.value}.json",
            "title": f"A message of the agent protocol, from the {sender.value}",
            "oneOf": [
                {key: value for key, value in schema.items() if key != "$schema"}
                for schema in kinds.values()
            ],
        }
        for sender, kinds in control.SCHEMAS.items()
    }
