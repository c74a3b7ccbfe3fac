//! Use case: an image in a store becomes the exact manifest bytes a push would send.
