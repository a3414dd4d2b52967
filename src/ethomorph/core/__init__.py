"""Plain types that every room shares: errors, the metric block, landmarks, atomic files."""
