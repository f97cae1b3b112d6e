"""Runtimes on this machine behind one seam: a session takes arrays and gives arrays."""
