"""The only place that knows FastAPI. Thin: parse, call, answer."""
