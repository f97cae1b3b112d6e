"""The demo: a gallery of real photographs, served on loopback and crawled over real HTTP."""
