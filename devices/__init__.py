"""Things that the city can read and drive: one file a kind of device, none of them yet."""
