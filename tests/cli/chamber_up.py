"""`cueline up` with small processes instead of the real ones; CHAMBER_PLAN chooses which."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from api.settings import SettingsError
from cli import supervisor
from cli.commands import Command
from cli.settings import UpSettings, load_dotenv, read_up_settings
from cli.up import Plan, run_up

SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ.get("CHAMBER_STATUS", "200")))
        self.end_headers()
        self.wfile.write(b"because")
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("127.0.0.1", int(os.environ["CUELINE_PORT"])), Handler).serve_forever()
"""
PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker has a child", flush=True)
signal.signal(signal.SIGTERM, lambda *_: (print("finishing the sentence", flush=True), sys.exit(0)))
time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
BROKEN = "import sys; print('the sound card is on fire'); sys.exit(3)"
NOISY = "import sys\nwhile True: sys.stdout.write('x' * 1000 + chr(10))"


def make_plan(settings: UpSettings, env: Mapping[str, str]) -> Plan:
    plan = os.environ["CHAMBER_PLAN"]
    api = Command("api", (sys.executable, "-c", SERVER))
    worker = Command("speech1", (sys.executable, "-c", {"deaf": DEAF, "noisy": NOISY}.get(plan, PARENT)))
    broken = Command("broken", (sys.executable, "-c", BROKEN))
    if plan == "broken":
        return Plan([api, broken])
    return Plan([api, worker], [broken] if plan == "optional" else [])


if __name__ == "__main__":
    if "CHAMBER_BACKOFF_S" in os.environ:
        supervisor.BACKOFF_S = [float(os.environ["CHAMBER_BACKOFF_S"])] * 5
    load_dotenv(Path.cwd())
    try:
        up_settings = read_up_settings()
    except SettingsError as error:
        sys.exit(str(error))
    sys.exit(run_up(up_settings, float(os.environ.get("CHAMBER_WITHIN_S", "20")), make_plan))
