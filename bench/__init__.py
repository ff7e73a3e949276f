"""One file a figure: `run(full, folder) -> list[Figure]`, each beside a peer measured in the same run."""
