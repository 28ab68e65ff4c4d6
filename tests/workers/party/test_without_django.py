"""What runs inside a hospital needs no Django: every module imports with it refused."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import workers.party

PROGRAM = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "channels", "rest_framework"}:
            raise ImportError(f"a site has no {name}")

sys.meta_path.insert(0, Refuse())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_every_module_of_a_site_imports_with_django_refused() -> None:
    found = [
        f"workers.party.{module.name}" for module in pkgutil.iter_modules(workers.party.__path__)
    ]
    # `tasks` needs a site's folder to exist; everything that it imports is here.
    names = [name for name in found if not name.endswith(".tasks")]
    assert "workers.party.agent" in names
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
