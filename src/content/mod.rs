//! Adapters that read images from where they are stored.
