"""A CVAT server for tests, on loopback and in memory, that answers as a recorded one did.

Its endpoints keep the addresses, statuses and shapes of the recorded exchanges, weak checks
included. What a test may ask of it is in server.StandIn.
"""
