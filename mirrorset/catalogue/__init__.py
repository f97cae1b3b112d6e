"""The living truth: images, sightings, annotations, batches, verdicts, rejections, ledger.

`tables` says what is kept, `rows` what a record is there, `store` keeps and reads records,
`migrations` (Alembic) brings a database of any earlier version up to date.
"""

from mirrorset.catalogue.store import Catalogue as Catalogue
