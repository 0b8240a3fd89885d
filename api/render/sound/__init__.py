"""The sound of a render: samples in, samples out; no file formats, no names of people's files.

takes.py      lines as they were spoken, and how they shall sound
clips.py      samples out of a file, a few seconds at a time
trimming.py   what of a clip is sound, and its edges without clicks
loudness.py   how loud a speaker is, after EBU R 128
limiting.py   no true peak above a ceiling
placing.py    a speaker's place between left and right
assembly.py   clips and silences, one after the other, and when each line begins and ends
levelling.py  the same, everybody as loud as wanted: `prepare`, the door to all of it
live.py       the same while later lines are still being made
peaks.py      a line's outline, as a page draws it
"""
