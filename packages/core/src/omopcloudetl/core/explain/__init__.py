"""Says where a field, a table or a step comes from, from the plan and the project's files."""
