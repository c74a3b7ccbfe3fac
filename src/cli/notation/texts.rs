//! What notation main says of policies and verifications (spec/notation.md §10.1).
//!
//! Where it says less than dockseal knows, the rest is in the details, which `--debug` shows.

use std::io;
use std::path::Path;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::host_trust::warn_about_files;
use crate::cli::output::Printer;
use crate::cli::verdict::print_metadata;
use crate::fsutil::FileError;
use crate::sign::SignError;
use crate::signature::payload::PayloadError;
use crate::trust::files::{Loaded, PolicyFileError};
use crate::trust::policy::PolicyError;
use crate::trust::store::{ManageError, TrustStoreError};
use crate::verify::{CandidateError, TrustedSignature, Verdict, VerifyError};

/// Where notation sends those who have no policy.
const HOW_TO: &str = "To create a trust policy, see: \
                      https://notaryproject.dev/docs/quickstart/#create-a-trust-policy";

/// What a policy is read for, with the warnings about its files.
pub(super) fn load<P>(
    context: &Context,
    loaded: Result<Loaded<P>, PolicyFileError>,
) -> Result<Loaded<P>, Failure> {
    let loaded = loaded.map_err(|error| {
        let message = match &error {
            PolicyFileError::Missing { .. } => format!("trust policy is not present. {HOW_TO}"),
            PolicyFileError::Invalid { source, .. } => match &**source {
                PolicyError::Malformed { .. } => format!("malformed trust policy. {HOW_TO}"),
                source => source.to_string(),
            },
            error => error.to_string(),
        };
        reworded(error.into(), message)
    })?;
    warn_about_files(context, loaded.warnings.iter().cloned())?;
    Ok(loaded)
}

/// The same failure in notation's words; what was said before is a detail.
pub(super) fn reworded(failure: Failure, message: impl Into<String>) -> Failure {
    let message = message.into();
    if message == failure.message {
        return failure;
    }
    let own = std::iter::once(failure.message);
    Failure { message, details: own.chain(failure.details).collect(), ..failure }
}

/// Something can't be signed.
pub(super) fn not_signed(error: SignError) -> Failure {
    let message = match &error {
        SignError::Payload(PayloadError::ReservedKey { key }) => format!(
            "error adding user metadata: metadata key {key} has reserved prefix io.cncf.notary"
        ),
        error => error.to_string(),
    };
    reworded(error.into(), message)
}

/// No statement of the policy is for `artifact`, or its name is no scope.
pub(super) fn no_statement(error: PolicyError, artifact: &str) -> Failure {
    let text = match &error {
        PolicyError::NoStatement { .. } => format!(
            "artifact {artifact:?} has no applicable oci trust policy statement. Trust policy \
             applicability for a given artifact is determined by registryScopes. {HOW_TO}"
        ),
        error => error.to_string(),
    };
    reworded(error.into(), format!("signature verification failed: {text}"))
}

/// No signature is trusted. `artifact` is what the policy was chosen for, `printed` what messages
/// call it.
pub(super) fn not_verified(error: VerifyError, artifact: &str, printed: &str) -> Failure {
    let message = match &error {
        VerifyError::NoSignature { .. } => format!(
            "signature verification failed: no signature is associated with {artifact:?}, make \
             sure the artifact was signed successfully"
        ),
        VerifyError::NoneTrusted { best, .. } => trust_store(&best.error).unwrap_or_else(|| {
            format!(
                "signature verification failed for all the signatures associated with {printed}"
            )
        }),
        error => format!("signature verification failed: {error}"),
    };
    reworded(error.into(), message)
}

/// The signature of a blob is not trusted. notation tells the reason here.
pub(super) fn blob_not_verified(error: VerifyError) -> Failure {
    let message = match &error {
        VerifyError::NoneTrusted { best, .. } => match &best.error {
            CandidateError::ContentMismatch { .. } => "signature verification failed: integrity \
                                                       check failed. signature does not match the \
                                                       given blob"
                .to_owned(),
            reason => trust_store(reason)
                .unwrap_or_else(|| format!("signature verification failed: {reason}")),
        },
        error => format!("signature verification failed: {error}"),
    };
    reworded(error.into(), message)
}

/// What is wrong with a trust store, if that is the reason.
fn trust_store(error: &CandidateError) -> Option<String> {
    let CandidateError::TrustStore(error) = error else { return None };
    Some(match &**error {
        TrustStoreError::Missing { .. } | TrustStoreError::Empty { .. } => format!(
            "{error}. Use command 'notation cert add' to create and add trusted certificates to the \
             trust store"
        ),
        error => error.to_string(),
    })
}

/// The answer of a verification that did not fail. `warned` says that there was a warning before.
pub(super) fn verified(
    printer: Printer,
    verdict: &Verdict,
    printed: &str,
    warned: bool,
) -> Result<(), Failure> {
    let trusted = match verdict {
        Verdict::Trusted(trusted) => Some(trusted),
        Verdict::Skipped => None,
    };
    let logged = trusted.map_or(0, |trusted| warn_about(printer, trusted));
    if warned || logged > 0 {
        printer.line("")?;
    }
    let Some(trusted) = trusted else {
        return Ok(printer.line(format_args!(
            "Trust policy is configured to skip signature verification for {printed}"
        ))?);
    };
    printer.line(format_args!("Successfully verified signature for {printed}"))?;
    print_metadata(printer, trusted)
}

/// Warns of every failure that the policy only logs; how many there are.
fn warn_about(printer: Printer, trusted: &TrustedSignature) -> usize {
    let logged = trusted.checks().iter().filter(|check| check.is_logged_failure());
    let mut count = 0;
    for check in logged {
        count += 1;
        printer.warning(format_args!(
            "{} was set to \"log\" and failed with error: {}",
            check.id, check.evidence
        ));
    }
    for warning in trusted.content().chain().warnings() {
        printer.detail(warning);
    }
    for rejected in trusted.rejected() {
        printer.detail(format_args!("{}: {}", rejected.location.display(), rejected.error));
    }
    count
}

/// An error of the operating system as Go words it: `open a.json: no such file or directory`.
pub(super) fn go_error(operation: &str, path: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let text: String = first.into_iter().chain(letters).collect();
    format!("{operation} {}: {text}", path.display())
}

/// An error of a trust store; where the operating system refuses, as Go says it.
pub(super) fn managing(error: &ManageError) -> String {
    match error {
        ManageError::File(FileError::Io { path, source, .. }) => {
            // notation makes paths absolute first.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            go_error("open", &path, source)
        }
        ManageError::Delete { path, source } => go_error("stat", path, source),
        error => error.to_string(),
    }
}

/// A file that can't be read, as Go says it.
pub(super) fn unreadable(error: &FileError) -> String {
    match error {
        FileError::Io { path, source, .. } => go_error("open", path, source),
        error => error.to_string(),
    }
}

/// A failure to read a file, behind notation's words for what the file is.
pub(super) fn unreadable_file(what: &str, error: FileError) -> Failure {
    let message = format!("{what}{}", unreadable(&error));
    Failure { message, ..Failure::of(Exit::Unavailable, &error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_gos() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(
            go_error("open", Path::new("a/b"), &error),
            "open a/b: no such file or directory"
        );
        assert_eq!(go_error("stat", Path::new("a"), &io::Error::other("Odd")), "stat a: odd");
    }
}
