"""Random faults over the whole pipeline: after each, running again must come to the same state.

    PYTHONPATH=.:tests python -m chaos --faults 100 --seed 7

The pipeline runs once undisturbed, and its state is kept before and after each step. Then a step is
taken up from its beginning again and again, each time with a fault at a random moment, and run
until it succeeds; what it leaves is compared with what the undisturbed step left.
"""
