"""Test set + models + runtimes → verdicts: seal a pack, run a model on it, compare two runs."""
