//! Where signatures live.
