"""The Celery app of recognition workers: the speech workers' settings, another task. Not: the task itself."""

from celery import Celery

from workers.guards import broker_guard, pool_guard

broker_guard.install()
pool_guard.install()
app = Celery("cueline", include=["workers.stt.tasks"])
app.config_from_object("celeryconfig")
