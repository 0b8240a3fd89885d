"""The Celery app that workers and Flower are started with. Not: the tasks themselves, which it only names."""

from celery import Celery

from workers.guards import broker_guard, pool_guard

broker_guard.install()
pool_guard.install()
app = Celery("cueline", include=["workers.tasks"])
app.config_from_object("celeryconfig")
