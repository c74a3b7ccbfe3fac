//! Notary Project signatures: payload, envelopes, certificates, signers.
