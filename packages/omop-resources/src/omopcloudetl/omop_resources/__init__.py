"""The OMOP resources of OMOP Cloud ETL: data that the compiler and the command line read."""
