"""ROOM 2: machine labels, people in CVAT who correct them, and verdicts on both."""
