"""How long listening takes, as histograms. Not: what to do when it takes long."""

from prometheus_client import Counter, Histogram

_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 4, 8, 16)
RECOGNITION = Histogram("cueline_recognition_seconds", "Recording sent to its words", ["kind"], buckets=_BUCKETS)
ENGINE = Histogram("cueline_recognizer_seconds", "The same, in the recognizer itself", ["kind"], buckets=_BUCKETS)
RECOGNITIONS = Counter("cueline_recognitions_total", "Looks at recordings by how they ended", ["kind", "result"])
HEARD = Histogram("cueline_heard_seconds", "Last speech to the utterance being whole", buckets=_BUCKETS)
BARGE_INS = Counter("cueline_barge_ins_total", "What was said while a reply was heard", ["result"])
