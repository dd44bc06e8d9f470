"""Spark as a database of OMOP Cloud ETL: its dialect, its sessions and its bulk loads."""
