"""Engines: text and a Voice in, PCM out; one file each. They know no job, no stream and no queue."""
