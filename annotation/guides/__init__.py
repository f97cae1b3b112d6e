"""What annotators read: Markdown and pictures, uploaded to CVAT as a project's guide."""
