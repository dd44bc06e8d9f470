"""Compile YAML mappings into SQL plans for the OMOP Common Data Model."""
