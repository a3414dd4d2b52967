"""ethomorph: measurements that survive review, from radiographs, CT volumes, video and footprints."""

__version__ = "0.1.0"
