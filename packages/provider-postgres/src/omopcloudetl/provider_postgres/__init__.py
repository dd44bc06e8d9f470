"""PostgreSQL as a database of OMOP Cloud ETL: its dialect, its connection and its bulk loads."""
