"""What the steps of this room hand to each other, through the work folder.

selected/NNNNN.jsonl       Selected       by `select`, in the parts of the snapshot
rejected.jsonl             Rejected       by `select`, in order of item_id
groups/NNNNN.jsonl         GroupMember    by `group`, in the parts of the snapshot
items/NNNNN.jsonl          DatasetItem    by `split`, a part an image shard, in order of image_id
attributions/NNNNN.jsonl   Attribution    by `split`, line for line beside the items
conflicts.jsonl            Rejected       by `split`

A part keeps its bytes when others come, so DVC sends it once.
"""

from mirrorset.records import Annotation, ImageRecord, Record, Sha256, Sighting


class Selected(Record):
    """An image that passed all gates, its binding sighting and its best annotation."""

    image: ImageRecord
    sighting: Sighting
    annotation: Annotation


class Attribution(Record):
    """What a release must say of an image besides its labels."""

    image: ImageRecord
    sighting: Sighting


class GroupMember(Record):
    """An image and the smallest image_id among all that it belongs together with (`key`).

    Whether that is a copy or another picture of one person is not said. is_oversized: these are
    more than a picture's copies, or a person's pictures, are likely to be.
    """

    image_id: Sha256
    key: Sha256
    is_oversized: bool = False
