"""The Celery app that workers and Flower are started with. Not: the tasks themselves, which it only names."""

from celery import Celery

from workers import broker_guard, leaving, pool_guard

broker_guard.install()
pool_guard.install()
leaving.install()
app = Celery("cueline", include=["workers.tasks"])
app.config_from_object("celeryconfig")
