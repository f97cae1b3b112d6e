"""ROOM 3: accepted labels → frozen, versioned releases.

Pure functions from files to files, in this order: `select`, `group`, (`mint`), `split`, `build`,
`measure`. They read the snapshot folder and write the work folder and the release folder.
"""
