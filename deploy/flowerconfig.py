"""Flower's settings: whom it lets in, and how it shows a job to a person. Not: Celery's settings.

Flower reads the names below as its options, so nothing else here may be called like one of them.
"""

import ast
import os

natural_time = True
purge_offline_workers = 60
"""Seconds; workers that were replaced would otherwise stay in the list and in the metrics for ever."""
max_tasks = 20_000
tasks_columns = "name,state,received,runtime,worker,uuid"

if _password := os.environ.get("CUELINE_FLOWER_PASSWORD"):
    basic_auth = [f"cueline:{_password}"]


def format_task(task):  # type: ignore[no-untyped-def]  # Flower calls it with a type of its own.
    """Show a job as `speak [Ava] 3.1 "The first words…"`: who, which turn and sentence, and what.

    A line of a render is `render "The play" 12/200 ALICE "The first words…"`.
    """
    try:
        shown = ast.literal_eval(task.kwargs)
        if "render" in shown:
            place = f"{shown['line']}/{shown['lines']} {shown['character']}"
            task.name = f'render "{shown["render"]}" {place} "{shown["words"]}"'
            return task
        place = f"{shown['turn']}.{shown['sentence']}"
        task.name = f'speak [{shown["character"]}] {place} "{shown["words"]}"'
    except (ValueError, SyntaxError, TypeError, KeyError):
        return task  # Not one of our jobs, or its event came without arguments.
    return task
