"""A catalogue with the tables of an earlier version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine

import mirrorset.catalogue


def migrated_back(url: str, revision: str) -> None:
    """Bring the catalogue's tables back to a revision ("0015"), or away altogether ("base")."""
    config = Config()
    folder = Path(mirrorset.catalogue.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
