"""The operator's files: YAML, the environment file, and who may access them."""
