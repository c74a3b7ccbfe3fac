//! Whom to trust, and how much must hold: policies, verification levels, identities, trust stores.
//!
//! Everything here is configuration that the operator wrote, in notation's own directories and
//! formats (spec/notation.md §5.1–5.4, §7). Nothing here reads a signature; the use case
//! [`crate::verify`] brings both together.
//!
//! ```text
//! {config}/trustpolicy.oci.json         files    which document
//! {config}/trustpolicy.json             policy   its statements, selection by scope
//! {config}/trustpolicy.blob.json        level    what is enforced, logged, skipped
//!                                       identity whose certificates
//! {config}/truststore/x509/TYPE/NAME/   store    which roots
//! ```

pub mod crls;
pub mod files;
pub mod identity;
pub mod level;
pub mod lines;
pub mod policy;
mod policy_error;
pub mod scope;
pub mod store;
