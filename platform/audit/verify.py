"""Verify an exported log without Django, database or network.

    python -m audit.verify BUNDLE --log-key VKEY [--witness VKEY ...] [--quorum K] [--kept NOTE]

Exit status: 0 the log is intact, 1 something differs, 2 wrong usage. Get the keys from the
roster that you pinned, not from the portal that you are checking.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from audit import bundle, canonical
from audit.findings import Report
from audit.signed_note import KeyType, NoteError, VerifierKey
from audit.verification import Trust, verify


def add_trust_options(parser: argparse.ArgumentParser, *, log_key_required: bool) -> None:
    """Add the options that say whom the verifier believes."""
    parser.add_argument(
        "--log-key", metavar="VKEY", required=log_key_required, help="the log's verifier key"
    )
    parser.add_argument(
        "--witness",
        metavar="VKEY",
        action="append",
        default=[],
        help="a witness's verifier key; repeat for each witness",
    )
    parser.add_argument(
        "--quorum",
        metavar="K",
        type=int,
        default=0,
        help="how many witnesses must have cosigned the latest checkpoint",
    )
    parser.add_argument(
        "--kept",
        metavar="FILE",
        action="append",
        default=[],
        help="a checkpoint kept from an earlier visit; repeat for each",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def trust_from(
    *, log: VerifierKey, witness: Sequence[str], quorum: int, kept: Sequence[str]
) -> Trust:
    """Return whom the options say to believe.

    *Raises* NoteError for a malformed key or too few witnesses for the quorum; OSError for a kept
    checkpoint that cannot be read.
    """
    witnesses = tuple(VerifierKey.parse(text) for text in witness)
    if log.type is not KeyType.LOG:
        raise NoteError("expected a verifier key of type 0x01 for the log")
    if any(key.type is not KeyType.COSIGNATURE for key in witnesses):
        raise NoteError("expected verifier keys of type 0x04 for witnesses")
    if len({key.public_key for key in witnesses}) < max(quorum, len(witnesses)):
        raise NoteError(f"expected {quorum} or more witnesses, each with its own key")
    notes = tuple(Path(name).read_text(encoding="utf-8") for name in kept)
    return Trust(log, witnesses, quorum, notes)


def render(report: Report, *, as_json: bool) -> str:
    """Return `report` as it is printed."""
    if as_json:
        return canonical.dumps(report.to_json()).decode() + "\n"
    return "".join(f"{line}\n" for line in report.lines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the bundle that `arguments` name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m audit.verify", description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="what verify_audit_log wrote")
    add_trust_options(parser, log_key_required=True)
    options = parser.parse_args(arguments)
    try:
        trust = trust_from(
            log=VerifierKey.parse(options.log_key),
            witness=options.witness,
            quorum=options.quorum,
            kept=options.kept,
        )
    except (NoteError, OSError) as error:
        parser.error(str(error))
    try:
        with options.bundle.open("rb") as file:
            checkpoints, entries = bundle.read(file)
            report = verify(entries, checkpoints, trust)
    except (bundle.BundleError, OSError) as error:
        sys.stderr.write(f"{options.bundle}: {error}\n")
        return 1
    sys.stdout.write(render(report, as_json=options.json))
    return 0 if report.intact else 1


if __name__ == "__main__":
    sys.exit(main())
