//! Go's `compress/gzip` writer at the default level, byte for byte.
