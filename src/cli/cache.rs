//! `dockseal cache`: the signature cache, and what layers compress to.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::generate::LayerCache;
use crate::image::digest::Digest;
use crate::sign::attachable;
use crate::signature::envelope::Envelope;
use crate::signature::x509::CertificateRules;
use crate::store::cache::{CachedSignature, SignatureCache};
use crate::store::{MAX_ENVELOPE_BYTES, SignatureStore as _};

use super::cert::confirmed;
use super::context::Context;
use super::duration;
use super::exit::Exit;
use super::failure::Failure;
use super::read_input;

// Subcommands of `dockseal cache`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum CacheCommand {
    /// Copy signature files into the cache, by the digest of the manifest they sign
    Add(AddArgs),
    /// List cached signatures: digest of the manifest, digest of the signature
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Remove the signatures of manifests, or all
    Prune(PruneArgs),
    /// Remove single signatures
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
}

impl CacheCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let cache = SignatureCache::new(&context.dirs.cache()?);
        match self {
            Self::Add(args) => args.run(context, &cache),
            Self::List(args) => args.run(context, &cache),
            Self::Prune(args) => args.run(context, &cache),
            Self::Remove(args) => args.run(context, &cache),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal cache add net-monitor.sig
  notation verify registry.example/net-monitor@sha256:...")]
pub(super) struct AddArgs {
    /// Files with signatures
    #[arg(required = true, value_name = "SIGNATURE")]
    signatures: Vec<PathBuf>,
}

impl AddArgs {
    /// What is added is intact; whether it is trusted is for who verifies it.
    fn run(self, context: &Context, cache: &SignatureCache) -> Result<(), Failure> {
        // All are judged before the first is written.
        let mut envelopes = Vec::new();
        for path in &self.signatures {
            let bytes = read_input(path, MAX_ENVELOPE_BYTES)?;
            let wrong = |failure: Failure| failure.prefixed(&path.display().to_string());
            let content = Envelope::decode_any(&bytes)
                .and_then(|envelope| envelope.unverified_content())
                .map_err(|error| wrong(error.into()))?;
            let subject = content.payload().target().clone();
            let envelope = attachable(&subject, &bytes, CertificateRules::Strict)
                .map_err(|error| wrong(error.into()))?;
            envelopes.push((subject, envelope));
        }
        let mut signatures = Vec::new();
        for (subject, envelope) in &envelopes {
            let added = cache.add(subject, envelope)?;
            context.printer.line(format_args!("{} {}", subject.digest, added.digest))?;
            signatures.push(described(&subject.digest, &added.digest));
        }
        Ok(context.printer.json(json!({"verdict": "added", "signatures": signatures}))?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal cache list
  dockseal cache list sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707")]
pub(super) struct ListArgs {
    /// Only signatures of this manifest
    #[arg(value_name = "DIGEST")]
    manifest: Option<Digest>,
}

impl ListArgs {
    fn run(self, context: &Context, cache: &SignatureCache) -> Result<(), Failure> {
        let entries = cache.entries(self.manifest.as_ref())?;
        for entry in &entries {
            context.printer.line(format_args!("{} {}", entry.subject, entry.digest))?;
        }
        Ok(context.printer.json(json!({"signatures": all(&entries)}))?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal cache prune sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
  dockseal cache prune --layers --older-than 720h")]
pub(super) struct PruneArgs {
    /// Manifests whose signatures are removed
    #[arg(
        value_name = "DIGEST",
        required_unless_present_any = ["all", "layers"],
        conflicts_with_all = ["all", "layers"]
    )]
    manifests: Vec<Digest>,
    /// Remove all signatures
    #[arg(long, short)]
    all: bool,
    /// Remove what is remembered of compressed layers instead; it is made anew when needed
    #[arg(long, conflicts_with = "all")]
    layers: bool,
    /// With --layers: only what was not written for so long, such as 720h
    #[arg(long, value_name = "DURATION", requires = "layers", value_parser = duration::parse)]
    older_than: Option<SignedDuration>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl PruneArgs {
    fn layers(&self, context: &Context) -> Result<(), Failure> {
        let Some(directory) = context.dirs.layers() else { return kept(context) };
        let seconds = context.now.as_second().unsigned_abs();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let age = self.older_than.map_or(Duration::ZERO, SignedDuration::unsigned_abs);
        let pruned = LayerCache::new(&directory).prune(age, now)?;
        let (removed, kept) = (pruned.removed, pruned.kept);
        context.printer.line(format_args!("removed {removed} layers, kept {kept}"))?;
        let layers = json!({"removed": removed, "kept": kept});
        Ok(context.printer.json(json!({"verdict": "removed", "layers": layers}))?)
    }

    fn run(self, context: &Context, cache: &SignatureCache) -> Result<(), Failure> {
        if self.layers {
            return self.layers(context);
        }
        let mut entries = Vec::new();
        if self.all {
            entries = cache.entries(None)?;
        }
        for manifest in &self.manifests {
            entries.extend(cache.entries(Some(manifest))?);
        }
        let question = format!("Are you sure you want to remove {} signatures?", entries.len());
        match entries.is_empty() || confirmed(context, self.yes, &question)? {
            true => remove_all(context, cache, &entries),
            false => kept(context),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal cache remove sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 \\
      sha256:f45b3b4aa0a604722a96d8e2c24cabda061f16a482d26f64612cacaa7bd59092")]
pub(super) struct RemoveArgs {
    /// The signed manifest
    #[arg(value_name = "DIGEST")]
    manifest: Digest,
    /// The signatures
    #[arg(required = true, value_name = "SIGNATURE")]
    signatures: Vec<Digest>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl RemoveArgs {
    fn run(self, context: &Context, cache: &SignatureCache) -> Result<(), Failure> {
        let entries = cache.entries(Some(&self.manifest))?;
        let mut chosen = Vec::new();
        for digest in &self.signatures {
            let entry = entries.iter().find(|entry| entry.digest == *digest).ok_or_else(|| {
                let message = format!("no signature {digest} of {} is in the cache", self.manifest);
                Failure::new(Exit::NoSignature, message)
                    .with_hint(Some(format!("dockseal cache list {}", self.manifest)))
            })?;
            chosen.push(entry.clone());
        }
        let question = format!("Are you sure you want to remove {} signatures?", chosen.len());
        match confirmed(context, self.yes, &question)? {
            true => remove_all(context, cache, &chosen),
            false => kept(context),
        }
    }
}

fn remove_all(
    context: &Context,
    cache: &SignatureCache,
    entries: &[CachedSignature],
) -> Result<(), Failure> {
    for entry in entries {
        cache.remove_file(&entry.path)?;
        context.printer.line(format_args!("removed {}", entry.digest))?;
    }
    Ok(context.printer.json(json!({"verdict": "removed", "signatures": all(entries)}))?)
}

fn kept(context: &Context) -> Result<(), Failure> {
    Ok(context.printer.json(json!({"verdict": "kept", "signatures": []}))?)
}

/// Cached signatures, for programs.
fn all(entries: &[CachedSignature]) -> Vec<Value> {
    entries.iter().map(|entry| described(&entry.subject, &entry.digest)).collect()
}

fn described(subject: &Digest, digest: &Digest) -> Value {
    json!({"manifest": subject, "digest": digest})
}
