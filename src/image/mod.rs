//! Container image vocabulary: digests, descriptors, references, strict JSON.
