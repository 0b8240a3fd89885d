"""Uploads: an order as it comes, JSON or a form with a file; and reading such a file. Not: what is in a script."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from api.answers import ANYWHERE, told
from api.errors import AccessDenied, FormatUnknown, MessageInvalid, ScriptEmpty, ScriptInvalid, ScriptTooLong
from api.render.order import Order, ScriptFile
from api.render.reading import epub
from api.render.reading.kinds import read_script
from api.routes.house import AHouse, AnOwner, House

router = APIRouter(prefix="/api", responses=ANYWHERE)

MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_FIELD_BYTES = 1024 * 1024
MAX_FIELDS = 16
MAX_FORM_BYTES = epub.MAX_BYTES + 2 * MAX_FIELD_BYTES
"""A file, as large as one may be, and what stands beside it."""
_TEXTS = {"title", "script", "kind", "narrator", "key"}
"""Fields that are written in a form as they are; the others as JSON."""
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}


def _spelled_out(schema: Any, named: dict[str, Any]) -> Any:
    """A schema without references: what is written into openapi.json by hand brings no definitions along."""
    if isinstance(schema, list):
        return [_spelled_out(one, named) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _spelled_out(named[schema["$ref"].rpartition("/")[2]], named)
    return {name: _spelled_out(part, named) for name, part in schema.items() if name != "$defs"}


_ORDER = Order.model_json_schema()
AN_ORDER: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": _spelled_out(_ORDER, _ORDER.get("$defs", {}))},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["script"],
                "properties": {"script": _FILE, **{name: {"type": "string"} for name in sorted(_TEXTS - {"script"})}},
            }
        },
    },
}
A_SCRIPT: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["script"],
                "properties": {"script": _FILE, "kind": {"type": "string"}, "narrator": {"type": "string"}},
            }
        }
    },
}


@router.post(
    "/scripts",
    max_body_size=MAX_FORM_BYTES,
    openapi_extra={"requestBody": A_SCRIPT},
    responses=told(ScriptInvalid, ScriptEmpty, ScriptTooLong, FormatUnknown),
)
async def read(request: Request, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """What is in a script: its lines as a list that can be rendered. Nothing is made or kept."""
    fields, file = await _read_form(request, house)
    if file is None:
        raise MessageInvalid("The form has no file named script.")
    if strange := set(fields) - {"kind", "narrator"}:
        raise MessageInvalid(f"There is no field {min(strange)[:40]!r}.")
    kind, narrator = fields.get("kind", ""), fields.get("narrator", "")
    script = await asyncio.to_thread(read_script, file.data, file.name, kind=kind, narrator=narrator)
    lines, skipped = await asyncio.to_thread(script.to_rows), len(script.skipped)
    return {"title": script.title, "speakers": list(script.speakers), "lines": lines, "skipped": skipped}


async def read_order_body(request: Request, house: House) -> tuple[Order, ScriptFile | None]:
    """An order, and the script if it came as a file.

    Raises: MessageInvalid, RequestValidationError, ScriptTooLong, AccessDenied.
    """
    if _is_form(request):
        fields, file = await _read_form(request, house)
        return await asyncio.to_thread(_validated, {"script": "", **fields} if file else fields), file
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise MessageInvalid("An order is JSON, or a form with a file.")
    try:
        body = await _read_json(request)
        return await asyncio.to_thread(lambda: _validated(json.loads(body))), None
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestValidationError):
            raise
        raise MessageInvalid("This is not JSON.") from error


def _validated(fields: Any) -> Order:
    try:
        return Order.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_context=False, include_url=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


async def _read_json(request: Request) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_JSON_BYTES:
            raise ScriptTooLong(f"An order may have at most {MAX_JSON_BYTES >> 20} MiB.")
    return bytes(body)


async def _read_form(request: Request, house: House) -> tuple[dict[str, Any], ScriptFile | None]:
    """The fields of a form, and the one file in it. What is too large is refused before any of it is read."""
    # A browser sends forms of any page to any server, without asking it first.
    if not house.access.is_known_origin(request.headers.get("origin"), request.headers.get("host")):
        raise AccessDenied("Forms are taken from the server's own pages only.")
    if int(request.headers.get("content-length") or 0) > MAX_FORM_BYTES:
        raise ScriptTooLong(f"A file may have at most {epub.MAX_BYTES >> 20} MiB.")
    if not _is_form(request):
        raise MessageInvalid("This is no form with a file.")
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
        fields: dict[str, Any] = {}
        file = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != "script":
                    raise MessageInvalid("The file of a form is called script.")
                file = ScriptFile(value.filename or "", await value.read())
            else:
                fields[name] = value if name in _TEXTS else _read_field(name, value)
        return fields, file


def _read_field(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise MessageInvalid(f"{name[:40]}: this is not JSON.") from error


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")
