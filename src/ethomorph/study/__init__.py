"""The study folder: study.toml, specimens, splits, runs and provenance."""
