"""What the user writes, as frozen Pydantic models: project, workflow and mappings."""
