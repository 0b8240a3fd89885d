"""Exits with 0 while a worker of this container announces itself in Redis. Not: what it can speak or hear.

`celery inspect ping` answers the same only after a second of processor time, and through the queue it probes.
"""

import os
import socket
import sys

from redis import Redis

from contract import keys

key_of = keys.recognizer if sys.argv[1:] == ["recognizer"] else keys.worker
pattern = key_of(f"*@{socket.gethostname()}:*")
with Redis.from_url(os.environ["CUELINE_REDIS_URL"], socket_timeout=3, socket_connect_timeout=3) as redis:
    sys.exit(0 if next(redis.scan_iter(pattern, count=1000), None) else 1)
