"""The first floor: pixels → measures. Pure functions that know no room and no catalogue."""
