"""Poses of animals in video: one animal, several from the top down or from the bottom up, tracked and measured."""
