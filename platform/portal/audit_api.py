"""The API of the audit log: browse, prove, export, verify.

It stands here and not in `audit`, which knows nobody: whose cosignatures count is in the roster.
"""

import tempfile
from typing import Any, BinaryIO, cast

from django.http import FileResponse
from django.urls import path
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import log, stored
from audit.entry import Entry
from audit.signed_note import VerifierKey
from audit.verification import Trust
from governance.models import RosterVersion
from governance.queries import current_roster

_FILTERS = ("event", "actor", "subject", "study")
_MEMORY_BYTES = 4_000_000


class EntrySerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    event = serializers.CharField()
    actor = serializers.CharField()
    subject = serializers.CharField()
    study = serializers.CharField()
    # DRF takes declared fields out of the class, so these names clash for the stubs only.
    data = serializers.JSONField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    leaf = serializers.CharField(help_text="The entry's exact bytes, which are hashed.")
    leaf_hash = serializers.CharField()
    previous = serializers.CharField(help_text="The chain hash of the entry before it.")
    chain_hash = serializers.CharField()


class ProvenEntrySerializer(EntrySerializer):
    receipt = serializers.CharField(
        allow_null=True,
        help_text="A C2SP tlog-proof under the latest checkpoint, once one covers the entry.",
    )


class CheckpointSerializer(serializers.Serializer[Any]):
    size = serializers.IntegerField()
    root = serializers.CharField()  # type: ignore[assignment]
    note = serializers.CharField(help_text="Signed by the log and by the sites as witnesses.")
    cosigned = serializers.BooleanField(help_text="Whether the roster's quorum has cosigned it.")


class Entries(APIView):
    """The entries, newest first; filter by event (a family ends in a dot), actor, study, time."""

    permission = {"GET": "audit.view"}

    @extend_schema(
        parameters=[
            *(OpenApiParameter(name, OpenApiTypes.STR) for name in _FILTERS),
            *(OpenApiParameter(name, OpenApiTypes.DATETIME) for name in ("since", "until")),
            *(OpenApiParameter(name, OpenApiTypes.INT) for name in ("limit", "offset")),
        ],
        responses=EntrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        found = log.entries(
            **{name: query.get(name, "") for name in _FILTERS},
            since=_moment(query.get("since", ""), "since"),
            until=_moment(query.get("until", ""), "until"),
            newest_first=True,
        )
        paginator = LimitOffsetPagination()
        page = paginator.paginate_queryset(found, request, view=self)
        return paginator.get_paginated_response([_described(entry) for entry in page or ()])


class OneEntry(APIView):
    """One entry, with the receipt by which anyone can check that it is in the log."""

    permission = {"GET": "audit.view"}

    @extend_schema(responses=ProvenEntrySerializer)
    def get(self, request: Request, index: int) -> Response:
        try:
            entry = log.entry(index)
        except LookupError as error:
            raise NotFound(str(error)) from None
        return Response({**_described(entry), "receipt": _receipt(index)})


class LatestCheckpoint(APIView):
    """The latest checkpoint, with every cosignature that the roster's sites have given."""

    permission = {"GET": "audit.view"}

    @extend_schema(responses=CheckpointSerializer)
    def get(self, request: Request) -> Response:
        latest = log.latest_checkpoint()
        if latest is None:
            raise NotFound("The log has not published a checkpoint yet.")
        witnesses, quorum = _witnesses()
        published = log.checkpoint_at(latest.size, witnesses=witnesses)
        return Response(
            {
                "size": published.size,
                "root": published.root.hex(),
                "note": published.note,
                "cosigned": bool(quorum) and log.cosigned(latest.size, quorum, witnesses),
            }
        )


class Export(APIView):
    """The whole log as JSON lines, for `python -m audit.verify` or any other program."""

    permission = {"GET": "audit.view"}

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.BINARY})
    def get(self, request: Request) -> FileResponse:
        file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
        stored.export(cast("BinaryIO", file))
        file.seek(0)
        return FileResponse(
            file, as_attachment=True, filename="audit-log.jsonl", content_type="application/jsonl"
        )


class Verification(APIView):
    """Recompute the whole log now, and name each row that differs."""

    permission = {"POST": "audit.view"}

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        return Response(stored.verify_all(trust()).to_json())


def trust() -> Trust:
    """Return whom the roster says to believe.

    *Raises* ActionRefusedError before the first roster: nobody is to be believed yet.
    """
    roster = current_roster()
    return Trust(log=roster.log_key, witnesses=roster.witnesses())


def _witnesses() -> tuple[tuple[VerifierKey, ...], int]:
    if not RosterVersion.objects.exists():
        return (), 0
    roster = current_roster()
    return roster.witnesses(), roster.rules.cosignatures


def _receipt(index: int) -> str | None:
    try:
        return log.receipt(index, witnesses=_witnesses()[0])
    except LookupError:
        return None


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "event": entry.event,
        "actor": entry.actor,
        "subject": entry.subject,
        "study": entry.study,
        "data": entry.data,
        "created_at": entry.created_at,
        "leaf": entry.leaf.decode(),
        "leaf_hash": entry.leaf_hash.hex(),
        "previous": entry.previous.hex(),
        "chain_hash": entry.chain_hash.hex(),
    }


def _moment(written: str, name: str) -> Any:
    if not written:
        return None
    try:
        moment = parse_datetime(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError({name: ["Expected a moment like 2026-11-22T23:41:37Z."]})
    return moment


urlpatterns = [
    path("audit/entries/", Entries.as_view(), name="audit-entries"),
    path("audit/entries/<int:index>/", OneEntry.as_view(), name="audit-entry"),
    path("audit/checkpoint/", LatestCheckpoint.as_view(), name="audit-checkpoint"),
    path("audit/export/", Export.as_view(), name="audit-export"),
    path("audit/verify/", Verification.as_view(), name="audit-verify"),
]
