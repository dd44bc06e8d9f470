"""The official CDM specification as facts: tables, fields, types and keys."""
