"""Tooth stress and lever mechanics, cross-section geometry."""
