"""Tell an OpenLineage server, or a file, what runs read and write."""
