"""A run as one HTML page: what happened, when, to how many rows, and where they came from."""
