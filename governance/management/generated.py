"""What commands share that write files made from the code: write them, or say which are stale."""

from abc import abstractmethod
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class GeneratedFilesCommand(BaseCommand):
    """Write the files that `generate` gives; with ``--check`` write nothing and fail when stale."""

    requires_system_checks: list[str] = []

    @abstractmethod
    def generate(self) -> Mapping[str, str]:
        """Return, by path from the repository's root, what the file must contain."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare ``--check``."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail when a file is stale"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        """Write, or compare.

        *Raises* CommandError naming the stale files and the command that repairs them.
        """
        root = Path(settings.BASE_DIR)
        stale = {
            root / name: content
            for name, content in self.generate().items()
            if not (root / name).exists() or (root / name).read_text("utf-8") != content
        }
        if check and stale:
            names = ", ".join(str(path.relative_to(root)) for path in stale)
            raise CommandError(f"Stale: {names}. Run `make fix` and commit what it writes.")
        for path, content in stale.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
            self.stdout.write(f"wrote {path.relative_to(root)}")
