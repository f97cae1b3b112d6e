"""ROOM 1: sources → original bytes + licence receipts."""
