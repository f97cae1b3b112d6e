"""Dataset formats."""

IMPORTERS: tuple[str, ...] = ()
EXPORTERS: tuple[str, ...] = ()
