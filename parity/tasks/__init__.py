"""What is measured of each kind of stage, image by image."""
