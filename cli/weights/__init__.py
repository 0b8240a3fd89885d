"""Weights: models that are too large to be installed with the project, fetched when somebody asks for them.

table.py   what can be had, and from where
fetch.py   one file, whole or not at all
get.py     `cueline get`
choice.py  which engine speaks, where nobody chose one
"""
