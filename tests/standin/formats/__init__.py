"""Dataset formats: which there are, and those the stand-in writes and reads."""

from collections.abc import Callable

from standin.formats import coco, cvat_xml, datumaro_json, segmentation
from standin.formats.dataset import Dataset, Read

_BOTH = ("CamVid 1.0", "Cityscapes 1.0", "COCO 1.0", "COCO Keypoints 1.0", "Datumaro 1.0",
         "Datumaro 3D 1.0", "ICDAR Recognition 1.0", "ICDAR Localization 1.0",
         "ICDAR Segmentation 1.0", "ImageNet 1.0", "KITTI 1.0", "LabelMe 3.0", "LFW 1.0",
         "Market-1501 1.0", "Segmentation mask 1.1", "MOT 1.1", "MOTS PNG 1.0",
         "Open Images V6 1.0", "PASCAL VOC 1.1", "Sly Point Cloud Format 1.0",
         "Kitti Raw Format 1.0", "VGGFace2 1.0", "WiderFace 1.0", "YOLO 1.1",
         "Ultralytics YOLO Detection 1.0", "Ultralytics YOLO Segmentation 1.0",
         "Ultralytics YOLO Oriented Bounding Boxes 1.0", "Ultralytics YOLO Pose 1.0",
         "Ultralytics YOLO Classification 1.0")  # fmt: skip
IMPORTERS = (*_BOTH, "CVAT 1.1")
EXPORTERS = (*_BOTH, "CVAT for video 1.1", "CVAT for images 1.1",
             "Ultralytics YOLO Detection Track 1.0")  # fmt: skip

WRITERS: dict[str, Callable[[Dataset], dict[str, bytes]]] = {
    "CVAT for images 1.1": cvat_xml.write,
    "COCO Keypoints 1.0": coco.write_keypoints,
    "COCO 1.0": coco.write_instances,
    "Datumaro 1.0": datumaro_json.write,
    "Segmentation mask 1.1": segmentation.write,
}
READERS: dict[str, Callable[[Dataset, dict[str, bytes]], Read]] = {
    "CVAT 1.1": cvat_xml.read,
    "COCO Keypoints 1.0": coco.read_keypoints,
    "COCO 1.0": coco.read_instances,
    "Datumaro 1.0": datumaro_json.read,
    "Segmentation mask 1.1": segmentation.read,
}
