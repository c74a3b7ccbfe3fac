//! What a graph-driver push will really send: the options, and how they settle it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::content::archive;
use crate::content::distribution::{Distribution, Records};
use crate::generate::{self, Generated, KnownSize, Options, Origin, Prediction, Verdict};
use crate::gogzip::Generation;
use crate::image::digest::Digest;
use crate::image::manifest::MAX_BYTES;
use crate::image::reference::Reference;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress_bar::ProgressBar;
use super::read_input;
use super::source::ImageArgs;

// Options about layers that an engine pulled or pushed before.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PushArgs {
    /// Repository that the push goes to: layers that its registry has are not compressed again
    #[arg(long, value_name = "REPOSITORY")]
    target_repository: Option<Reference>,
    /// Where the engine keeps what it pulled and pushed [default: DATA/image/DRIVER/distribution, as root]
    #[arg(long, value_name = "DIR")]
    pub(super) distribution_dir: Option<PathBuf>,
    /// Archive with original layers that were pulled; repeatable
    #[arg(long, value_name = "ARCHIVE")]
    layer_source: Vec<PathBuf>,
    /// Manifest that names original layers; repeatable
    #[arg(long, value_name = "FILE")]
    known_manifest: Vec<PathBuf>,
    /// Refuse unless it is certain what a push sends [default: when an image of a graph-driver engine is signed]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    strict: Option<bool>,
    /// Take every layer as compressed again, whatever the engine pulled or pushed before
    #[arg(long, conflicts_with_all = ["target_repository", "strict"])]
    assume_fresh: bool,
}

/// What is known of the engine whose push is predicted.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where its records are, if that can be told.
    pub(super) distribution: Option<Distribution>,
    /// The manifests that it recorded.
    pub(super) recorded: Vec<String>,
    /// Whether an engine was asked, and for a signature.
    pub(super) signing: bool,
}

impl PushArgs {
    /// Whether anything was asked that an archive alone does not tell.
    pub(super) fn is_asked(&self) -> bool {
        self.target_repository.is_some()
            || self.distribution_dir.is_some()
            || self.strict.is_some()
            || self.assume_fresh
    }

    /// The repository that the push goes to.
    pub(super) fn target(&self) -> Option<&Reference> {
        self.target_repository.as_ref()
    }

    /// The manifest that is sent, from the one for which every layer was compressed. `again`
    /// generates that for the other generation; `image` has the options that the push is about.
    pub(super) fn settle(
        &self,
        fresh: Generated,
        known: &Known,
        options: &Options,
        again: &mut dyn FnMut(Generation) -> Result<Generated, Failure>,
        image: &ImageArgs,
        context: &Context,
    ) -> Result<Generated, Failure> {
        let Origin::Rendered(generation) = fresh.origin else { return Ok(fresh) };
        if self.assume_fresh {
            let note = "note: every layer is taken as compressed again, as --assume-fresh says";
            context.printer.note(note);
            return Ok(fresh);
        }
        let (records, unreadable) = self.records(&fresh, known)?;
        if let Some(why) = &unreadable {
            context.printer.detail(format_args!("note: the engine's records: {why}"));
        }
        let prediction = Prediction::of(&fresh, records.as_ref(), self.target());
        let wanted = prediction.unsized_layers(&fresh);
        let bar = || image.bar(context);
        let sizes = self.sizes(&wanted, generation, options, again, &bar)?;
        let generated = prediction.manifest(fresh, &sizes, &known.recorded).map_err(no_size)?;
        self.judge(&generated, known, unreadable, context)?;
        Ok(generated)
    }

    fn records(
        &self,
        fresh: &Generated,
        known: &Known,
    ) -> Result<(Option<Records>, Option<String>), Failure> {
        let named = self.distribution_dir.as_deref().map(Distribution::at);
        let is_named = named.is_some();
        let Some(distribution) = named.or_else(|| known.distribution.clone()) else {
            return Ok((None, Some("they are on another host, or not looked for".to_owned())));
        };
        let config = fresh.blobs.iter().find(|blob| blob.diff_id.is_none());
        let diff_ids: Vec<Digest> =
            fresh.blobs.iter().filter_map(|blob| blob.diff_id.clone()).collect();
        let Some(config) = config else { return Ok((None, None)) };
        match distribution.records(&config.descriptor.digest, &diff_ids) {
            Ok(records) => Ok((Some(records), None)),
            Err(error) if is_named => Err(Failure::of(Exit::Unavailable, &error)),
            Err(error) => Ok((None, Some(error.to_string()))),
        }
    }

    /// Sizes of digests that this generation does not make: the other one may, else where they are
    /// at hand.
    fn sizes(
        &self,
        wanted: &BTreeMap<Digest, Digest>,
        generation: Generation,
        options: &Options,
        again: &mut dyn FnMut(Generation) -> Result<Generated, Failure>,
        bar: &dyn Fn() -> ProgressBar,
    ) -> Result<BTreeMap<Digest, KnownSize>, Failure> {
        let mut sizes = BTreeMap::new();
        for path in &self.layer_source {
            let source = archive::Source::Path(path.clone());
            let found = generate::sizes_in_archive(source, wanted, options, &bar())
                .map_err(|error| Failure::from(error).prefixed(&path.display().to_string()))?;
            sizes.extend(found);
        }
        for path in &self.known_manifest {
            let bytes = read_input(path, MAX_BYTES as u64)?;
            let found = generate::sizes_in_manifest(bytes, wanted).map_err(|error| {
                Failure::of(Exit::Malformed, &error).prefixed(&path.display().to_string())
            })?;
            for (digest, size) in found {
                sizes.entry(digest).or_insert(size);
            }
        }
        if wanted.keys().any(|digest| !sizes.contains_key(digest)) {
            let other = again(generation.other())?;
            sizes.extend(generate::sizes_of(&other));
        }
        Ok(sizes)
    }

    /// Says how sure it is; refuses where that is not enough.
    fn judge(
        &self,
        generated: &Generated,
        known: &Known,
        unreadable: Option<String>,
        context: &Context,
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let is_layer = |note: &generate::Note| match note {
            // The same layer twice is one question.
            generate::Note::Layer(layer) => {
                seen.insert(layer.diff_id.clone()).then(|| layer.clone())
            }
            _ => None,
        };
        let layers: Vec<_> = generated.notes.iter().filter_map(is_layer).collect();
        let open: Vec<_> =
            layers.iter().filter(|layer| layer.verdict != Verdict::Certain).collect();
        if !self.strict.unwrap_or(known.signing) || open.is_empty() {
            // Nothing hints at a registry: that the records are not readable is no news.
            let is_news = unreadable.is_none() || !known.recorded.is_empty();
            for layer in &layers {
                let is_open = is_news && layer.verdict != Verdict::Certain;
                if is_open {
                    context.printer.note(format_args!("note: {layer}"));
                } else {
                    context.printer.detail(format_args!("note: {layer}"));
                }
            }
            return Ok(());
        }
        let is_conflict = open.iter().any(|layer| layer.verdict == Verdict::Conflicting);
        let hint = if unreadable.is_some() {
            "run this as root on the engine's host, or --distribution-dir DIR; \
             --assume-fresh if the image was never pulled or pushed"
        } else if is_conflict && self.target_repository.is_none() {
            "say where the push goes: --target-repository REPOSITORY"
        } else {
            "to take what is predicted: --strict=false"
        };
        let message = "it is not certain what a push of this image sends";
        let mut failure = Failure::new(Exit::NotDeterminable, message);
        failure.details.extend(unreadable);
        failure.details.extend(open.into_iter().map(ToString::to_string));
        Err(failure.with_hint(Some(hint.to_owned())))
    }
}

fn no_size(missing: BTreeSet<Digest>) -> Failure {
    let mut failure = Failure::new(
        Exit::NotDeterminable,
        "a push refers to layers by digests that registries have, and their sizes are not known",
    );
    failure.details.extend(missing.iter().map(ToString::to_string));
    failure.with_hint(Some(
        "where an archive has the original layers: --layer-source ARCHIVE".to_owned(),
    ))
}
