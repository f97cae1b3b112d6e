"""Why a run departs: at which stage, in which part of it, by what, and on which images."""
