"""From a recording to words: recognition, then what is believed of it, what is stable, and whether it was all."""
