//! A directory of archives and layouts, as a store of images by name.
//!
//! The names are those that the archives state. As in every other store they are claims, which no
//! signature covers: they decide what is looked at, and never whether it is trusted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::source::ImageArgs;
use crate::content::archive::Source;
use crate::fsutil;
use crate::generate::{self, Content};
use crate::image::reference::Reference;

/// Files at the top of an image.
const IMAGE_FILES: [&str; 2] = ["oci-layout", "manifest.json"];

/// How archives are called.
const ENDINGS: [&str; 9] =
    [".tar", ".tgz", ".tar.gz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"];

/// Most names that are shown where an image is not found: a list may name any number of those.
const MAX_SHOWN: usize = 20;

/// The images in a directory.
#[derive(Debug)]
pub(super) struct Shelf {
    directory: PathBuf,
    images: Vec<(Reference, PathBuf)>,
    /// Which of them are of a repository.
    by_repository: HashMap<String, Vec<usize>>,
}

impl Shelf {
    /// Asks everything in a directory for its names. What can't be read is warned about: whatever
    /// was to be found in it is missed.
    pub(super) fn read(path: &Path, image: &ImageArgs, context: &Context) -> Result<Self, Failure> {
        let is_image = |path: &Path| IMAGE_FILES.iter().any(|name| path.join(name).is_file());
        let places = if is_image(path) {
            vec![path.to_owned()]
        } else {
            let is_archive = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                path.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending))
            };
            let entries = fsutil::entries(path)?;
            entries.into_iter().filter(|path| is_image(path) || is_archive(path)).collect()
        };
        let options = image.options(None, Content::Manifest, context);
        let bar = image.bar(context);
        let mut images = Vec::new();
        for place in places {
            match generate::names(Source::Path(place.clone()), &options, &bar) {
                Ok(names) => images.extend(names.into_iter().map(|name| (name, place.clone()))),
                Err(error) => {
                    let failure = Failure::from(error);
                    let place = place.display();
                    let warning = format!("{place}: {}", failure.message);
                    bar.hidden(|| context.printer.warning(warning));
                }
            }
        }
        let mut by_repository: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, (name, _)) in images.iter().enumerate() {
            by_repository.entry(name.repository()).or_default().push(at);
        }
        Ok(Self { directory: path.to_owned(), images, by_repository })
    }

    /// The archive that has an image, and its name there.
    pub(super) fn find(&self, wanted: &Reference) -> Result<(&Path, &Reference), Failure> {
        let tagged = wanted.clone().with_default_tag();
        let is_it = |name: &Reference| {
            let by_digest_alone = wanted.digest().is_some() && wanted.tag().is_none();
            by_digest_alone || name.tag() == tagged.tag()
        };
        let of_repository = self.by_repository.get(&wanted.repository()).into_iter().flatten();
        let of_repository = of_repository.filter_map(|at| self.images.get(*at));
        let found: Vec<_> = of_repository.filter(|(name, _)| is_it(name)).collect();
        let what = wanted.familiar();
        match found.as_slice() {
            [(name, path)] => Ok((path, name)),
            [] => {
                let message = format!("{what} is not in {}", self.directory.display());
                let shown = self.images.iter().take(MAX_SHOWN);
                let more = self.images.len().saturating_sub(MAX_SHOWN);
                let more = (more > 0).then(|| format!("and {more} more"));
                let names = shown.map(|(name, _)| name.familiar()).chain(more);
                let failure = Failure::new(Exit::Unavailable, message)
                    .with_hint(Some(format!("docker save {what} -o image.tar")));
                Err(names.fold(failure, Failure::with_detail))
            }
            several => {
                let places = several
                    .iter()
                    .map(|(name, path)| format!("{} in {}", name.familiar(), path.display()));
                let message = format!("{what} is there more than once");
                Err(places.fold(Failure::new(Exit::Malformed, message), Failure::with_detail))
            }
        }
    }
}
