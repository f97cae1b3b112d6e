"""The forms that a release is converted to, one module each with one function, `write`.

`write(folder, splits, schema)` fills the empty `folder` with the pictures of each split, in the
order in which they come, and returns how many faces it wrote: a form that cannot hold a face leaves
it out. The same pictures give the same bytes. Coordinates are turned from the release's, px with
(0, 0) the outer corner of the top-left pixel, into those of the form, which its docstring states.
"""
