//! X.509 certificates: parsing, the chain rules of spec §4, distinguished names.
//!
//! A [`Certificate`] keeps the DER it was read from; subject, issuer, key and the signed part are
//! compared and verified as received, never re-encoded. Parsing is at least as strict as Go's
//! `crypto/x509` where that matters for the main rule (what dockseal accepts, notation accepts).
//!
//! What is judged where:
//!
//! | step | function |
//! |---|---|
//! | form of one certificate | [`Certificate::from_der`] |
//! | rules between certificates, key usages (§4.1) | [`CertificateChain::code_signing`], [`CertificateChain::timestamping`] |
//! | validity at a moment (§4.2) | [`CertificateChain::check_validity`] |
//! | names (§5.3) | [`DistinguishedName`] |
//! | revocation (§5.5) | [`crl::check`], [`ocsp::check`] |
//!
//! Trust is not decided here: that a chain is well formed says nothing about who made it.

mod bundle;
mod certificate;
#[cfg(test)]
mod certificate_tests;
mod chain;
mod chain_error;
#[cfg(test)]
mod chain_tests;
pub mod crl;
mod crl_wire;
pub(crate) mod der_write;
mod extensions;
pub mod generate;
mod name;
pub mod ocsp;
#[cfg(test)]
mod ocsp_tests;
mod public_key;
mod revocation;
#[cfg(test)]
mod revocation_tests;
mod signature_algorithm;
#[cfg(test)]
pub(crate) mod testing;

pub use bundle::{BundleError, certificates_from_bytes, certificates_from_pem};
pub use certificate::{Certificate, CertificateError};
pub use chain::{CertificateChain, CertificateRules, Purpose};
pub use chain_error::{ChainError, ChainWarning};
pub use extensions::{ExtendedKeyUsage, KeyUsage};
pub use name::{Attribute, DistinguishedName, IdentityError};
pub use public_key::PublicKey;
pub use revocation::{RevocationReason, RevocationStatus};

pub(crate) use certificate::explicit;
pub(crate) use signature_algorithm::{X509SignatureAlgorithm, hash_identifier};

/// Largest certificate that is looked at, in bytes (N-20).
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Longest chain, leaf and root included (N-20).
pub const MAX_CHAIN_LENGTH: usize = 10;
