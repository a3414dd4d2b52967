"""Frames and registration: transforms, symmetry, alignment, cropping, surfaces to voxels and back."""
