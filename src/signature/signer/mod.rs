//! Who holds the key.

pub mod keys;
