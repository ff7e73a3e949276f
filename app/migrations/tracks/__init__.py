"""The revisions of the positions' database."""
