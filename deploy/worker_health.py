"""Exits with 0 while a speech worker of this container announces itself in Redis. Not: what it can speak.

`celery inspect ping` answers the same only after a second of processor time, and through the queue it probes.
"""

import os
import socket
import sys

from redis import Redis

from contract import keys

pattern = keys.worker(f"*@{socket.gethostname()}:*")
with Redis.from_url(os.environ["CUELINE_REDIS_URL"], socket_timeout=3, socket_connect_timeout=3) as redis:
    sys.exit(0 if next(redis.scan_iter(pattern, count=1000), None) else 1)
