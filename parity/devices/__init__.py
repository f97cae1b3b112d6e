"""Which models hold up on which device and delegate, and in what order an app tries them."""
