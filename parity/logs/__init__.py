"""What benchmark tools printed on devices → records: how fast, how large, what ran it."""
