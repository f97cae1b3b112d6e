"""What a chain works out between and after its networks, one pure function a module."""
