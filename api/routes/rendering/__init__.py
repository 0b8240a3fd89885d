"""Renders over HTTP. uploads.py: an order as it comes, and reading a file; renders.py: the rest. Not: making them."""
