"""Compiles a loaded project into a plan: mappings to SQL over logical names, and steps to a graph."""
