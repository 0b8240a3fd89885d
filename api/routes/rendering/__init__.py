"""Renders over HTTP. uploads.py: an order as it comes, and reading a file; renders.py: all the rest. Not: making them."""
