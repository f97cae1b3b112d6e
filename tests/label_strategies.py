"""Labels of every kind, drawn by hypothesis: what a round trip through CVAT must not change."""

import random
from typing import get_args

from hypothesis import strategies as st

from annotation.schema import load_label_schema
from annotation.shapes import ImageShapes
from mirrorset.records import Annotation, Face, Landmarks, LightSide, Mask

WIDTH, HEIGHT = 640, 480
SCHEMA = load_label_schema()

# Points may lie outside the image, and coordinates have CVAT's two decimals.
hundredths = st.integers(-5_000, 70_000).map(lambda value: value / 100)
shares = st.floats(0, 1)

# What a text attribute may hold (`AttributeSpec.accepts`): markup, quotes, breaks, any script.
hostile_texts = st.one_of(
    st.sampled_from(
        [
            "</attribute><tag label='do_not_use'/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]>&b;",
            "]]>",
            "&amp;#10;",
            "a\r\nb\tc\rd",
            '"; DROP TABLE faces; --',
            "../../etc/passwd",
            "\u202egnp.exe",
            "😀 é é",
            "=HYPERLINK(1)",
        ]
    ),
    st.text(min_size=1, max_size=40),
).filter(lambda text: SCHEMA.face.attributes[0].accepts(text) and text != "")


@st.composite
def landmark_sets(draw: st.DrawFn) -> Landmarks:
    count = len(SCHEMA.point_names)
    seed = draw(st.integers(0, 2**32 - 1))
    rng = random.Random(seed)
    return Landmarks(
        points=tuple((draw(hundredths), rng.randint(-5000, 70000) / 100) for _ in range(count)),
        visibility=tuple(rng.choice((0, 1, 2)) for _ in range(count)),
        confidence=tuple(rng.random() for _ in range(count)),
    )


@st.composite
def face_lists(draw: st.DrawFn) -> tuple[Face, ...]:
    """Up to three faces under numbers, or under names that somebody typed."""
    names = draw(
        st.one_of(
            st.integers(0, 3).map(lambda count: [str(index) for index in range(count)]),
            st.lists(
                hostile_texts.filter(lambda text: not text.isdecimal()), max_size=3, unique=True
            ).map(sorted),
        )
    )
    return tuple(
        Face(
            face_id=name,
            box=(draw(hundredths), draw(hundredths), draw(hundredths), draw(hundredths)),
            score=draw(shares),
            landmarks={"ibug68": draw(landmark_sets())} if draw(st.booleans()) else {},
            attributes=draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "occlusion": st.sampled_from(["none", "partial", "heavy"]),
                        "glasses": st.sampled_from(["none", "clear", "dark"]),
                    },
                )
            ),
        )
        for name in names
    )


@st.composite
def mask_lists(draw: st.DrawFn) -> tuple[Mask, ...]:
    found = []
    for _ in range(draw(st.integers(0, 2))):
        left, top = draw(st.integers(0, 600)), draw(st.integers(0, 440))
        width, height = draw(st.integers(1, 30)), draw(st.integers(1, 30))
        bits = draw(st.integers(1, 2 ** (width * height) - 1))
        pixels = [(bits >> place) & 1 for place in range(width * height)]
        found.append(
            Mask(
                label="person",
                left=left,
                top=top,
                right=left + width - 1,
                bottom=top + height - 1,
                rle=run_lengths(pixels),
            )
        )
    return tuple(sorted(found, key=lambda m: (m.left, m.top, m.right, m.bottom, m.rle)))


def run_lengths(pixels: list[int]) -> tuple[int, ...]:
    """Runs in order, beginning with background (0)."""
    runs, current, length = [], 0, 0
    for pixel in pixels:
        if pixel != current:
            runs.append(length)
            current, length = pixel, 0
        length += 1
    return (*runs, length)


tag_sets = st.fixed_dictionaries(
    {},
    optional={
        "lighting": st.sampled_from(get_args(LightSide)),
        "do_not_use": st.sampled_from(["unspecified", "minor", "intimate"]),
        "blurred": st.just("true"),
    },
)


def annotated(faces: tuple[Face, ...], masks: tuple[Mask, ...], tags: dict[str, str]) -> Annotation:
    return Annotation(
        image_id="ab" * 32,
        faces=faces,
        masks=masks,
        tags=tags,
        origin="model",
        by="research",
        schema_version=SCHEMA.version,
        made_at="2026-11-23T00:00:00Z",
    )


def shuffled(shapes: ImageShapes, seed: int) -> ImageShapes:
    """As CVAT gives shapes back: in another order, and so the points of a skeleton."""
    rng = random.Random(seed)

    def mixed(items):
        return tuple(rng.sample(items, len(items)))

    return shapes.model_copy(
        update={
            "rectangles": mixed(shapes.rectangles),
            "skeletons": mixed(
                [
                    one.model_copy(update={"elements": mixed(one.elements)})
                    for one in shapes.skeletons
                ]
            ),
            "masks": mixed(shapes.masks),
            "tags": mixed(shapes.tags),
        }
    )
