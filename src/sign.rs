//! Use case: a descriptor becomes a signature envelope in a signature store.
