"""A cost model of runs on Spark: what each step sends between workers, from the physical plans of a seen run."""
