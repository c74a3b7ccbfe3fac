//! `dockseal timestamp`: RFC 3161 countersignatures by way of files (spec/notation.md §6.4).
//!
//! A token is no part of what is signed, so a host without a network writes a request, somebody
//! carries it to a timestamping authority, and the answer is attached later.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::fsutil::{self, Mode};
use crate::sign::with_token;
use crate::signature::envelope::{Envelope, SignedContent};
use crate::signature::timestamp::{MAX_TOKEN_BYTES, Request, Response, VerifiedTimestamp};
use crate::signature::x509::CertificateRules;
use crate::store::MAX_ENVELOPE_BYTES;

use super::authority::AuthorityArgs;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output_file::write_data;
use super::read_input;

/// Subcommands of `dockseal timestamp`.
#[derive(Debug, Subcommand)]
pub(super) enum TimestampCommand {
    /// Write the request for a timestamp of a signature (application/timestamp-query)
    Request(RequestArgs),
    /// Put the answer (application/timestamp-reply) into the signature file
    Attach(AttachArgs),
    /// Verify the timestamp of a signature
    Verify(VerifyArgs),
}

impl TimestampCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Request(args) => args.run(context),
            Self::Attach(args) => args.run(context),
            Self::Verify(args) => args.run(context),
        }
    }
}

/// A signature whose integrity is proven.
fn read_signature(path: &Path) -> Result<(Envelope, SignedContent), Failure> {
    let envelope = Envelope::decode_any(&read_input(path, MAX_ENVELOPE_BYTES)?)?;
    let content = envelope.verify_integrity(CertificateRules::Strict)?;
    Ok((envelope, content))
}

#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// The signature file
    #[arg(value_name = "SIGNATURE")]
    signature: PathBuf,
    /// Write the request to FILE
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl RequestArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (envelope, content) = read_signature(&self.signature)?;
        let request = Request::new(envelope.signature(), content.algorithm().hash())
            .map_err(|error| Failure::of(Exit::Internal, &error))?;
        write_data(request.der(), self.output.as_deref(), Some(&self.signature), context)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct AttachArgs {
    /// The signature file
    #[arg(value_name = "SIGNATURE")]
    signature: PathBuf,
    /// The authority's answer
    #[arg(value_name = "RESPONSE")]
    response: PathBuf,
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Write the signature to FILE [default: in place]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl AttachArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (envelope, content) = read_signature(&self.signature)?;
        let response = read_input(&self.response, MAX_TOKEN_BYTES as u64)?;
        let response = Response::from_der(&response)?;
        let token = response.token_about(envelope.signature())?;
        let timestamp = self.authority.open(context)?.check(token, &envelope, &content)?;
        let updated = with_token(&envelope, token, CertificateRules::Strict)?;
        let target = self.output.as_ref().unwrap_or(&self.signature);
        fsutil::write_atomic(target, &updated, Mode::Private)?;
        report(context, "Successfully timestamped", target, &timestamp)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The signature file
    #[arg(value_name = "SIGNATURE")]
    signature: PathBuf,
    #[command(flatten)]
    authority: AuthorityArgs,
}

impl VerifyArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (envelope, content) = read_signature(&self.signature)?;
        let token = envelope.timestamp_token().ok_or_else(|| {
            Failure::new(
                Exit::NoSignature,
                "no timestamp countersignature was found in the signature envelope",
            )
        })?;
        let timestamp = self.authority.open(context)?.check(token, &envelope, &content)?;
        context.printer.note("who signed was not verified, only when");
        report(context, "Successfully verified timestamp of", &self.signature, &timestamp)
    }
}

fn report(
    context: &Context,
    what: &str,
    path: &Path,
    timestamp: &VerifiedTimestamp,
) -> Result<(), Failure> {
    Ok(context.printer.line(format_args!(
        "{what} {}: {} by {}",
        path.display(),
        timestamp.generated(),
        timestamp.chain().leaf().subject()
    ))?)
}
