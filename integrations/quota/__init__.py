"""The figures, the ways in which reading them can fail, and the words for both. Pure."""
