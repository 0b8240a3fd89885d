"""What of a Supabase project speaks HTTP: its files and its sign-in."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class FakeStorageServer:
    """Speaks the HTTP of Supabase Storage, as far as a private bucket needs it.

    Source: the routes and answers of supabase/storage: upload with `x-upsert`, `sign` with a token that expires,
    the signed GET, removal of several, and errors whose status is 400 and whose body says what it was.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.files: dict[str, tuple[bytes, str]] = {}
        """By path in the bucket: what it is, and its media type."""
        self.buckets = {"audio"}
        self.refuses = ""
        """What it says to whatever is asked next."""
        self._tokens: dict[str, tuple[str, float]] = {}
        object_ = "/storage/v1/object"
        routes = [
            Route(f"{object_}/sign/{{bucket}}/{{path:path}}", self.sign, methods=["POST"]),
            Route(f"{object_}/sign/{{bucket}}/{{path:path}}", self.download, methods=["GET"]),
            Route(f"{object_}/list/{{bucket}}", self.list, methods=["POST"]),
            Route(f"{object_}/{{bucket}}/{{path:path}}", self.upload, methods=["POST"]),
            Route(f"{object_}/{{bucket}}", self.remove, methods=["DELETE"]),
        ]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        """Start; returns the address of the project."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    async def upload(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        path = request.path_params["path"]
        if path in self.files and request.headers.get("x-upsert") != "true":
            return _storage_error("409", "Duplicate", "The resource already exists")
        async with request.form() as form:
            file: Any = form["file"]
            self.files[path] = (await file.read(), file.content_type)
        return JSONResponse({"Key": f"{request.path_params['bucket']}/{path}", "Id": uuid.uuid4().hex})

    async def sign(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        path = request.path_params["path"]
        if path not in self.files:
            return _storage_error("404", "not_found", "Object not found")
        token = uuid.uuid4().hex
        self._tokens[token] = (path, time.monotonic() + float((await request.json())["expiresIn"]))
        return JSONResponse({"signedURL": f"/object/sign/{request.path_params['bucket']}/{path}?token={token}"})

    async def download(self, request: Request) -> Response:
        """Without a key: the token is the right to it."""
        path, until = self._tokens.get(request.query_params.get("token", ""), ("", 0.0))
        if path != request.path_params["path"] or until < time.monotonic():
            return _storage_error("400", "InvalidJWT", "jwt expired")
        content, media_type = self.files[path]
        name = request.query_params.get("download")
        headers = {"content-disposition": f'attachment; filename="{name}"'} if name else {}
        return Response(content, media_type=media_type, headers=headers)

    async def list(self, request: Request) -> Response:
        """Files and folders right below a folder."""
        if problem := self._problem(request):
            return problem
        body = await request.json()
        folder = body["prefix"] + "/"
        below = [path.removeprefix(folder) for path in self.files if path.startswith(folder)]
        names = sorted({path.partition("/")[0] for path in below})
        return JSONResponse([{"name": name, "id": name} for name in names[: body["limit"]]])

    async def remove(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        gone = [path for path in (await request.json())["prefixes"] if self.files.pop(path, None)]
        return JSONResponse([{"name": path} for path in gone])

    def _problem(self, request: Request) -> Response | None:
        said = (request.headers.get("apikey"), request.headers.get("authorization"))
        if said != (self.key, f"Bearer {self.key}"):
            return _storage_error("403", "Unauthorized", "Invalid Compact JWS")
        if request.path_params["bucket"] not in self.buckets:
            return _storage_error("404", "Bucket not found", "Bucket not found")
        if self.refuses:
            return _storage_error(self.refuses, "told to refuse", "The object exceeded the maximum allowed size")
        return None


def _storage_error(status: str, error: str, message: str) -> Response:
    return JSONResponse({"statusCode": status, "error": error, "message": message}, status_code=400)


class FakeSignIn:
    """Publishes the keys of a Supabase project as its sign-in does, and signs what it is told to.

    Source: `/auth/v1/.well-known/jwks.json` of Supabase Auth.
    """

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        """Private ones, by name."""
        self.published: set[str] = set()
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None
        """What it says instead of the keys."""
        self.hangs = False
        routes = [Route("/auth/v1/.well-known/jwks.json", self.publish)]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.url = ""

    def start(self) -> FakeSignIn:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    def add(self, name: str, algorithm: str = "ES256") -> None:
        """Make a key and publish it."""
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        is_rsa = algorithm == "RS256"
        self.keys[name] = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        self.published.add(name)

    def sign(self, name: str, sub: str | None, algorithm: str = "ES256", **changes: Any) -> str:
        """A token as a user brings it; what is None is left out."""
        import jwt

        claims = {"iss": f"{self.url}/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": sub}
        claims = {**claims, "exp": int(time.time()) + 600, **changes}
        kid = claims.pop("kid", name)
        body = {claim: value for claim, value in claims.items() if value is not None}
        return jwt.encode(body, self.keys[name], algorithm, headers={"kid": kid} if kid else {})

    def jwks(self) -> dict[str, Any]:
        from jwt.algorithms import ECAlgorithm, RSAAlgorithm

        found = []
        for name in sorted(self.published):
            public = self.keys[name].public_key()
            kind, algorithm = (RSAAlgorithm, "RS256") if hasattr(public, "encrypt") else (ECAlgorithm, "ES256")
            found.append({**json.loads(kind.to_jwk(public)), "kid": name, "alg": algorithm, "use": "sig"})
        return {"keys": found}

    async def publish(self, request: Request) -> Response:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(10)
        if self.body is not None:
            return Response(self.body, self.status)
        return JSONResponse(self.jwks(), self.status)
