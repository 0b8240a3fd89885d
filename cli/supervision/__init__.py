"""Processes kept alive, from the outside in: supervisor, child, process, and what it says (notices). Not: which."""
