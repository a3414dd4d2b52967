"""The addresses under /api; a file a kind of thing."""
