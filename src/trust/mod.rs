//! Trust policy, trust store, trusted identities.
