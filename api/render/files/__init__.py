"""What becomes of a render's lines: finished files, made when they are asked for.

mastering.py   a plan → a file, whole or not at all
subtitles.py   a plan → captions and times
packing.py     a plan → every line as a file, and a manifest
products.py    all of these, each made once and kept until the lines change
kept.py        where every machine finds them, if there is such a place
"""
