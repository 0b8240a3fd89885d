"""The Celery app that workers and Flower are started with. Not: the tasks themselves, which it only names."""

import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning

# Said at every loss of the connection, about a default that celeryconfig.py has decided on.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)

app = Celery("cueline", include=["workers.tasks"])
app.config_from_object("celeryconfig")
