"""The Celery app that workers and Flower are started with. Not: the tasks themselves, which it only names."""

from celery import Celery

app = Celery("cueline", include=["workers.tasks"])
app.config_from_object("celeryconfig")
