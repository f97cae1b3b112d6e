"""What CVAT's own tools call."""
