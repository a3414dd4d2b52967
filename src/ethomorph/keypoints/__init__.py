"""Landmarks on stills and poses in video."""
