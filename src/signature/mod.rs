//! Notary Project signatures: payload, envelopes, certificates, timestamps, signers.
//!
//! The specification this room implements is `spec/notation.md` of the project (sections are
//! quoted as "spec §n", deliberate narrowings as "N-nn"). Direction of knowledge, top to bottom:
//!
//! ```text
//! envelope   JWS and COSE: decode strictly, verify integrity, sign
//! timestamp  RFC 3161: request, response, token
//! signer     who holds the key: files, plugins
//! payload    what is signed
//! x509       certificates, chains, names, revocation data
//! algorithm  key specifications and what follows from them
//! crypto     the one file that names the crypto provider
//! ```
//!
//! Bytes in, verdicts out: no clock, no environment, no trust decision. Whoever calls says what
//! time it is and compares chains with trust stores.

pub mod algorithm;
pub(crate) mod ber;
pub mod crypto;
pub mod envelope;
pub(crate) mod oid;
pub mod payload;
pub mod signer;
pub mod timestamp;
pub mod x509;
