"""The revisions of the log's database."""
