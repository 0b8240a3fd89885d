"""boson-multimodal, for who depends on it. engine.py: the engine `higgs_boson`."""
