"""`cueline up` with small processes instead of the real ones; CHAMBER_PLAN chooses which."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from api.settings import SettingsError
from cli.commands import Command
from cli.settings import UpSettings, load_dotenv, read_up_settings
from cli.supervision import child, supervisor
from cli.up import Plan, api_names, run_up

SERVER = """
import http.server, os, signal, socket, sys, time
from api.notify import notify
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ.get("CHAMBER_STATUS", "200")))
        self.send_header("x-pid", str(os.getpid()))
        self.end_headers()
        self.wfile.write(b"because")
    def log_message(self, *_):
        pass
def drain(*_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    notify("STOPPING=1")
    while "CHAMBER_DRAINED" in os.environ and not os.path.exists(os.environ["CHAMBER_DRAINED"]):
        time.sleep(0.02)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=int(sys.argv[1]))
notify("READY=1")
server.serve_forever()
"""
PARENT = """
import os, signal, subprocess, sys, time
from api.notify import notify
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, lambda *_: (print("finishing the sentence", flush=True), sys.exit(0)))
print("worker has a child", flush=True)
if "CHAMBER_UNREADY" not in os.environ:
    notify("READY=1")
time.sleep(600)
"""
PEACEFUL = "print('nothing to do')"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
BROKEN = "import sys; print('the sound card is on fire'); sys.exit(3)"
NOISY = "import sys\nwhile True: sys.stdout.write('x' * 1000 + chr(10))"
WORKERS = {"deaf": DEAF, "noisy": NOISY, "peaceful": PEACEFUL}


def make_plan(settings: UpSettings, env: Mapping[str, str], listener: int) -> Plan:
    plan = os.environ["CHAMBER_PLAN"]
    server = (sys.executable, "-c", SERVER, str(listener))
    apis = [Command(name, server, descriptors=(listener,), overlaps=True) for name in api_names(settings)]
    worker = Command("speech1", (sys.executable, "-c", WORKERS.get(plan, PARENT)))
    broken = Command("broken", (sys.executable, "-c", BROKEN))
    if plan == "broken":
        return Plan([broken], apis)
    return Plan([worker], apis, [broken] if plan == "optional" else [])


if __name__ == "__main__":
    if "CHAMBER_BACKOFF_S" in os.environ:
        child.BACKOFF_S = [float(os.environ["CHAMBER_BACKOFF_S"])] * 5
    if "CHAMBER_BRIEF_S" in os.environ:
        child.BRIEF_S = float(os.environ["CHAMBER_BRIEF_S"])
    if "CHAMBER_GRACE_S" in os.environ:
        supervisor.GRACE_S = float(os.environ["CHAMBER_GRACE_S"])
    load_dotenv(Path.cwd())
    try:
        up_settings = read_up_settings()
    except SettingsError as error:
        sys.exit(str(error))
    sys.exit(run_up(up_settings, float(os.environ.get("CHAMBER_WITHIN_S", "20")), make_plan))
