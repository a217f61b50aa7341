"""The pages that the benchmark measures beside the panel."""
