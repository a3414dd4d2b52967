"""Morphometrics on landmarks: superimposition, shape spaces, tests, repeatability. Import from the modules by name."""
