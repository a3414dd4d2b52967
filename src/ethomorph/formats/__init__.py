"""File formats: one file a format, each with a reader and a writer, and a registry that picks by suffix and content."""
