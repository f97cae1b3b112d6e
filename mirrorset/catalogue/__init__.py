"""The living truth: images, sightings, annotations, batches, verdicts, rejections, ledger.

`tables` says what is kept, `store` keeps and reads it, `migrations` (Alembic) brings a database
of any earlier version up to date.
"""

from mirrorset.catalogue.store import Catalogue as Catalogue
