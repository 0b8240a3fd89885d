"""The language model that speaks: its weights, its slots, one step and one reading of prompts at a time."""
