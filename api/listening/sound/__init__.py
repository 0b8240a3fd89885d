"""From a microphone's frames to where speech is: frames, resample, vad, echo, endpoint, in the order of the path.

Beside it smart_turn, which judges a whole turn by its mel. Both networks are opened by network.
"""
