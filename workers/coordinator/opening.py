"""The release gate at work: permit an opening, reconstruct once, finish, decide.

Runs in the portal's Celery worker, the only process that reads the gate's private key. Every
function may be called at any time and any number of times; the rows say what is left to do.
"""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.db import transaction
from django.utils import timezone

from governance import release
from governance.errors import Refusal, refusal
from governance.models import Release, Run
from governance.statements.envelope import Envelope
from governance.statements.result_statements import ResultCertificate, output_commitment
from studies.plan import StudyPlan
from workers.analyses import registry
from workers.analyses.errors import NoisedTableError
from workers.analyses.release_noise import ReleaseNoise
from workers.coordinator import checkpoints, keys
from workers.coordinator.attempts import tell_everyone
from workers.coordinator.models import Attempt, AttemptParty
from workers.coordinator.sealing import session_of
from workers.mpc.profiles import additive
from workers.transport import output_share
from workers.transport.output_share import OutputShareError

logger = logging.getLogger(__name__)

# Beyond this no count of persons lies, whatever the noise: some share is not what it should be.
PLAUSIBLE = 2**53


def open_result(identifier: str) -> None:
    """Take the release of the run called `identifier` as far as it goes now.

    Sealed: log the opening permit, or withhold for good if the evidence no longer permits it.
    Opening, with every output share in: open. Opened: decide.
    """
    run = Run.objects.get(identifier=identifier)
    match _state(run):
        case Release.State.SEALED:
            permit(run)
        case Release.State.OPENING if not run.attempts.latest("number").parties.filter(
            sealed_share=None
        ):
            open_sealed(run)
    if _state(run) == Release.State.OPENED:
        decide(identifier)


def permit(run: Run) -> None:
    """Log the permit to open the sealed result of `run`, and ask the sites to cosign it."""
    with transaction.atomic():
        attempt = run.attempts.select_for_update().latest("number")
        try:
            release.permit_opening(run, session_of(attempt), now=timezone.now())
        except Refusal as error:
            release.withhold(run, code=error.code, reason=error.sentence, site=error.site)
            logger.warning("%s stays sealed: %s", run, error.sentence)
        else:
            attempt.state = Attempt.State.OPENING
            attempt.save(update_fields=["state"])
        tell_everyone(run)
    checkpoints.publish_if_awaited()


def open_sealed(run: Run) -> None:
    """Reconstruct the noised result of `run` from every site's output share, once.

    *Security*: each share must be the one its site committed to before the permit existed. The
    sum carries every party's noise; there is no moment at which anyone holds the exact statistic.
    Neither shares nor numbers are ever logged, and the ciphertexts are dropped with the opening.
    """
    attempt = run.attempts.latest("number")
    plan = StudyPlan.parse(bytes(run.version.plan))
    try:
        noised = _reconstruct(attempt)
        result = _finished(plan, noised)
    except Refusal as error:
        logger.warning("%s cannot be opened: %s", run, error.sentence)
        release.withhold(run, code=error.code, reason=error.sentence, site=error.site)
        return
    with transaction.atomic():
        release.record_opening(run, noised=noised.tolist(), result=result)
        release.decide_release(run)  # at once, where the class asks for no checkers
        attempt.parties.update(sealed_share=None)
        Attempt.objects.filter(pk=attempt.pk).update(state=Attempt.State.OPENED)
        tell_everyone(run)


def decide(identifier: str) -> None:
    """Decide about the opened result of the run called `identifier`, as far as its checks allow."""
    run = Run.objects.get(identifier=identifier)
    with transaction.atomic():
        release.decide_release(run)
        tell_everyone(run)
    checkpoints.publish_if_awaited()


def noise_of(plan: StudyPlan) -> ReleaseNoise | None:
    """Return the noise that the parties of `plan` add; None for a rehearsal, which has none."""
    if plan.is_rehearsal:
        return None
    return ReleaseNoise.of(
        plan.to_json()["privacy"]["epsilon"],
        sensitivity=plan.event.sensitivity,
        parties=len(plan.sites),
        collusion_bound=plan.declaration.noise_collusion_bound,
    )


def _finished(plan: StudyPlan, noised: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return what is read of the opened numbers. *Raises* Refusal if no run can have made them."""
    try:
        return registry.get(plan.declaration.identifier).finish(
            noised,
            plan.parameters,
            noise_of(plan),
            suppress_below=plan.declaration.suppression_threshold,
        )
    except NoisedTableError:
        raise refusal("result_implausible") from None


def _reconstruct(attempt: Attempt) -> npt.NDArray[np.int64]:
    """Return the noised numbers behind the output shares. *Raises* Refusal."""
    key = keys.gate_key()
    parties = attempt.parties.select_related("site").order_by("party")
    shares = [_share(attempt, party, key) for party in parties]
    noised = additive.reconstruct(shares)
    if np.any((noised <= -PLAUSIBLE) | (noised >= PLAUSIBLE)):
        raise refusal("result_implausible")
    return noised


def _share(attempt: Attempt, party: AttemptParty, key: X25519PrivateKey) -> bytes:
    """Return the output share of one party, once it is the one that its certificate commits to."""
    site, digest = party.site.slug, attempt.manifest_digest
    certified = ResultCertificate.of(Envelope.parse(party.certificate)).output
    assert party.sealed_share is not None
    try:
        sent = output_share.decrypt(
            bytes(party.sealed_share), key, manifest_digest=digest, site=site
        )
        commitment = output_commitment(
            manifest_digest=digest, party=party.party, salt=sent.salt, share=sent.share
        )
    except OutputShareError:
        raise refusal("share_mismatch", site=site) from None
    if commitment != certified.commitment or len(sent.share) != 8 * certified.cells:
        raise refusal("share_mismatch", site=site)
    return sent.share


def _state(run: Run) -> str:
    return str(Release.objects.values_list("state", flat=True).get(run=run))
