//! How the verification of one of several images ended.

use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::image::digest::Digest;

/// How it ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What it is called.
    pub(super) name: String,
    /// How it ended.
    pub(super) verdict: Verdict,
    /// What was verified.
    pub(super) digest: Option<Digest>,
    /// Why it is not trusted.
    pub(super) failure: Option<Failure>,
    /// What the policy let pass.
    pub(super) warnings: Vec<String>,
    /// The report of a verification of it alone, where there is one.
    pub(super) report: Value,
    /// How long it took.
    pub(super) seconds: f64,
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// A signature is trusted.
    Trusted,
    /// The policy does not want anything verified.
    Skipped,
    /// No signature is trusted, or the content is not what is signed.
    Denied,
    /// It could not be verified at all.
    Error,
    /// Another one failed before.
    NotTried,
}

impl Verdict {
    /// All of them, in the order of summaries.
    pub(super) const ALL: [Self; 5] =
        [Self::Trusted, Self::Skipped, Self::Denied, Self::Error, Self::NotTried];

    /// Its name in reports.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::NotTried => "not-tried",
        }
    }

    /// What it means, at a glance.
    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Trusted => Tone::Good,
            Self::Skipped | Self::NotTried => Tone::Warning,
            Self::Denied | Self::Error => Tone::Bad,
        }
    }
}

impl Outcome {
    /// One that failed.
    pub(super) fn failed(name: String, failure: Failure) -> Self {
        let verdict = if failure.exit.is_denial() { Verdict::Denied } else { Verdict::Error };
        Self { verdict, failure: Some(failure), ..Self::not_tried(name) }
    }

    /// One that is not tried any more.
    pub(super) fn not_tried(name: String) -> Self {
        Self {
            name,
            verdict: Verdict::NotTried,
            digest: None,
            failure: None,
            warnings: Vec::new(),
            report: json!({}),
            seconds: 0.0,
        }
    }

    /// Its part of the document of `--format json`.
    pub(super) fn json(&self) -> Value {
        let mut document = json!({"source": self.name, "verdict": self.verdict.as_str()});
        for (name, value) in self.report.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        document["verdict"] = json!(self.verdict.as_str());
        let members = self.failure.as_ref().map(Failure::members);
        for (name, value) in members.iter().filter_map(Value::as_object).flatten() {
            document[name] = value.clone();
        }
        document["warnings"] = json!(self.warnings);
        document
    }
}
