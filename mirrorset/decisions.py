"""What people's decisions on quarantined images come to: a drop is final, a release until then."""

from collections.abc import Iterable

from mirrorset.records import Decision

#: The check that an annotator fails by setting `do_not_use`; only people set it.
NOT_STOPPED = "not_stopped"


def dropped(decisions: Iterable[Decision]) -> set[str]:
    """Ids of the images that a person has dropped: nothing brings them back."""
    return {one.image_id for one in decisions if one.action == "drop"}


def released(decisions: Iterable[Decision]) -> set[str]:
    """Ids of the images that pass the gate "adult" on a person's word, and are not dropped.

    A release answers a machine's doubt, also when the machine looks again. What an annotator says
    of the picture is another check and holds beside it.
    """
    known = list(decisions)
    return {one.image_id for one in known if one.action == "release"} - dropped(known)
