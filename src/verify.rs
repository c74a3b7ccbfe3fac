//! Use case: a descriptor, envelopes and a policy become a trusted signature or a ranked error.
