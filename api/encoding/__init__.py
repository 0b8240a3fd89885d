"""PCM → the formats that people's programs play, block by block; and files of strangers, read at a safe distance.

formats.py   which formats there are, and what each is made with
encoder.py   a sound as a stream, or into a file that can be written again
sending.py   the same for whoever gets it while it is made
riff.py      the head of a wav file
apart.py     a stranger's file is read in a process of its own
"""
