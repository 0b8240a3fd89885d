"""Celery's own settings: broker, queues, order, acknowledgement, events. Not: tasks, application settings."""

import os

from kombu import Queue

from contract.job import QUEUES
from contract.transcribe import HEARING_QUEUES

broker_url = os.environ.get("CUELINE_REDIS_URL") or "redis://127.0.0.1:6379/0"
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A Redis that is full refuses like one that is gone: the worker tries again until there is room.
broker_channel_error_retry = True
broker_transport_options = {
    # Talk before batch, strictly: the first queue is emptied before the next is looked at.
    "queue_order_strategy": "priority",
    # Redelivery by Celery is the backstop only: the owner of a turn notices silence within milliseconds and
    # dispatches a new attempt. So this may be long, and a slow engine's job is never started twice by it.
    "visibility_timeout": 600,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "health_check_interval": 25,
}

task_queues = [Queue(name) for name in (*QUEUES, *HEARING_QUEUES)]
task_default_queue = QUEUES[0]
task_create_missing_queues = False

task_serializer = "json"
accept_content = ["json"]
# Audio leaves through streams and errors too: a result would be a second, unread copy of the truth.
result_backend = None
task_ignore_result = True

# A worker takes one job and gives it back if it dies; late acknowledgement with multiplier 1 is what keeps
# a waiting sentence in the queue, where any free worker can take it.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
# How long a dead child's last word is waited for, in which its worker takes no other job.
worker_lost_wait = 0.5
worker_cancel_long_running_tasks_on_connection_loss = False
task_soft_time_limit = 150
task_time_limit = 180
# Models take their time to load; Celery kills a child that is not up after 4 s otherwise.
worker_proc_alive_timeout = 300
# After SIGQUIT, for the job in hand; see workers/guards/pool_guard.py.
worker_soft_shutdown_timeout = 10

worker_send_task_events = True
task_track_started = True
worker_hijack_root_logger = False
enable_utc = True
