"""Reads a project's files: YAML with positions, the project loader, and diagnostics with places."""
