"""Programs of other people, each run in an environment of its own."""
