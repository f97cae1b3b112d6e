"""What the server says of itself."""

from pathlib import Path

from fastapi import APIRouter, Response

from standin.call import Answer, Anybody, Arrived
from standin.formats import EXPORTERS, IMPORTERS

router = APIRouter()

_DESCRIPTION = "A server on loopback that answers as CVAT does, for tests."
_PARTS = ("Cache backend: default", "Cache backend: media", "DatabaseBackend",
          "DatabaseBackend[default]", "DiskUsage", "MemoryUsage", "OPAHealthCheck")  # fmt: skip


@router.get("/api/server/about")
async def get_about(call: Anybody) -> Response:
    return Answer(
        {
            "name": "Computer Vision Annotation Tool",
            "description": _DESCRIPTION,
            "version": call.request.app.state.version,
            "logo_url": f"{call.state.url}/static/logo.svg",
            "subtitle": "Stand-in",
        }
    )


@router.get("/api/server/health")
async def get_health(call: Anybody) -> Response:
    return Answer(dict.fromkeys(_PARTS, "working"), media_type="application/json")


@router.get("/api/server/annotation/formats")
async def get_formats(call: Arrived) -> Response:
    def shown(name: str) -> dict[str, object]:
        version = name.rpartition(" ")[2]
        dimension = "3d" if "3D" in name or "Point Cloud" in name or "Raw" in name else "2d"
        return {
            "name": name,
            "ext": "ZIP",
            "version": version,
            "enabled": True,
            "dimension": dimension,
        }

    return Answer(
        {
            "importers": [shown(name) for name in IMPORTERS],
            "exporters": [shown(name) for name in EXPORTERS],
        }
    )


@router.get("/api/schema")
async def get_schema(call: Anybody) -> Response:
    """The recorded server's own document, where the recordings are there."""
    path: Path = call.request.app.state.schema
    return Response(
        path.read_bytes(),
        media_type="application/vnd.oai.openapi; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="CVAT REST API (2.0).yaml"'},
    )
