"""What keeps Celery's worker alive and listening where Celery itself does not do so yet. It knows no job."""
