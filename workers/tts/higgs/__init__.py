"""Higgs Audio v2: a speaking language model, many sentences in one running batch on one GPU."""
