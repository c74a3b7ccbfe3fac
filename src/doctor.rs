//! Use case: what stands in the way of signing and verifying on a host, found before it matters.
//!
//! ```text
//! doctor
//!  ├─ trust       policy documents, trust stores, CRLs, and who may change them
//!  ├─ keys        the list of signing keys, their files and certificates, plugins
//!  └─ verifier    whether containerd asks its image verifier at all
//! ```
//!
//! Nothing is changed, nothing is sent. A finding is no verdict about any signature.

mod keys;
mod trust;
mod verifier;

pub use keys::check as keys;
pub use trust::check as trust;
pub use verifier::{VerifierPlaces, check as verifier};

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::image::hint;
use crate::signature::x509::Certificate;

/// How long before something expires that is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a finding is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Area {
    /// The clock.
    Clock,
    /// Trust policies, trust stores and revocation lists.
    Trust,
    /// Signing keys and plugins.
    Keys,
    /// The Docker engine.
    Docker,
    /// containerd.
    Containerd,
    /// containerd's image verifier.
    Verifier,
}

impl Area {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Trust => "trust",
            Self::Keys => "keys",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Verifier => "verifier",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It works, and will not for ever, or protects less than it seems.
    Warning,
    /// It does not work, or lets through what it should stop.
    Problem,
}

impl Severity {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, and where.
    pub text: String,
    /// What helps.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint.
    pub fn new(area: Area, severity: Severity, text: impl Into<String>) -> Self {
        Self { area, severity, text: text.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with a command about a file as its hint, where that can be shown.
    #[must_use]
    pub fn about_file(self, command: &[&str], file: &Path) -> Self {
        let file = hint::path(file);
        let words: Vec<&str> = command.iter().copied().chain([file.as_str()]).collect();
        Self { hint: hint::shell(&words), ..self }
    }
}

/// Nothing of this program is older.
const FIRST: Timestamp = Timestamp::constant(1_764_000_000, 0);

/// When the program was built: the time of its sources, where the build says so, else [`FIRST`].
fn built(epoch: &str) -> Timestamp {
    let second = epoch.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
    second.map_or(FIRST, |time| time.max(FIRST))
}

/// Whether the clock can be right: signatures and certificates are judged by it.
pub fn clock(now: Timestamp) -> Finding {
    // A host without a battery starts in 1970.
    let built = built(option_env!("SOURCE_DATE_EPOCH").unwrap_or_default());
    if now < built {
        let text = format!(
            "it is not {now}, the program is of {built}: certificates and expiry are judged by this \
             clock"
        );
        return Finding::new(Area::Clock, Severity::Problem, text).hint("date --set ...");
    }
    Finding::new(Area::Clock, Severity::Good, format!("{now}"))
}

/// What is to be said about the validity of a certificate, if anything.
fn validity(area: Area, what: &str, certificate: &Certificate, now: Timestamp) -> Option<Finding> {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    let subject = certificate.subject();
    if now > to {
        let text = format!("{what}: certificate \"{subject}\" expired at {to}");
        Some(Finding::new(area, Severity::Problem, text))
    } else if now < from {
        let text = format!("{what}: certificate \"{subject}\" is not valid before {from}");
        let hint = format!("if that is past the clock is wrong: it says {now}");
        Some(Finding::new(area, Severity::Problem, text).hint(hint))
    } else if to.duration_since(now) < SOON {
        let text = format!("{what}: certificate \"{subject}\" expires at {to}");
        Some(Finding::new(area, Severity::Warning, text))
    } else {
        None
    }
}

/// A number of things: `1 key`, `2 keys`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests;
