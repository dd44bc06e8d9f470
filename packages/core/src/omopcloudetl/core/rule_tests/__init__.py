"""Runs the rule tests of mappings on an embedded engine, each mapping alone."""
