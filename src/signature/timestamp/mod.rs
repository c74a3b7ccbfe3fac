//! RFC 3161 timestamps (spec §6): what to send to a timestamping authority, what it answers, and
//! what its token proves.
//!
//! ```text
//! signature ── Request::new ──> .tsq  ── somebody else's transport ──>  .tsr
//! .tsr ── Response::token_for ──> token ── Envelope::with_timestamp_token ──> envelope
//! token + signature + trusted TSA roots ── verify ──> VerifiedTimestamp
//! ```
//!
//! A token lies in the unsigned part of an envelope, so it is bound to one signature by its
//! imprint only: [`verify()`] always computes that imprint itself. Whether a TSA certificate is
//! revoked is checked by the caller, who has the revocation data (spec §6.3, S13).

mod cms;
mod error;
mod message;
mod path;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tst_info;
mod verify;

pub use error::TimestampError;
pub use message::{Request, Response};
pub use verify::{VerifiedTimestamp, token_certificates, verify};

/// Largest response or token that is looked at, in bytes (spec §6.1: 1 MiB).
pub const MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// Media type of a request.
pub const QUERY_MEDIA_TYPE: &str = "application/timestamp-query";

/// Media type of a response.
pub const REPLY_MEDIA_TYPE: &str = "application/timestamp-reply";
