"""From a microphone's frames to where speech is: frames, resample, vad, echo, endpoint, in the order of the path."""
