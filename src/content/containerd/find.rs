//! An image by its name, as users of ctr, nerdctl, CRI and docker write it.
//!
//! To containerd a name is any text. ctr takes it literally; CRI, nerdctl and docker write
//! normalised ones. So the order is: exactly this name; then the normalised one; then, for
//! `REPOSITORY@DIGEST` and a bare digest, an image of that repository with that target
//! (spec/containerd.md §10, "names").

use super::error::ContainerdError;
use super::{ContentStore, ImageRecord, Namespace};
use crate::image::digest::Digest;
use crate::image::reference::Reference;

/// How many names that are like the one asked for are told.
const CLOSE: usize = 3;
/// From which likeness on a name is close.
const LIKENESS: f64 = 0.8;

/// An image that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its record.
    pub record: ImageRecord,
    /// Other namespaces in which the name means the same manifest.
    pub also: Vec<Namespace>,
}

/// Finds an image, in one namespace or in all of them.
///
/// # Errors
/// [`ContainerdError`]: there is none, or namespaces disagree about it.
pub fn find(
    store: &dyn ContentStore,
    name: &str,
    namespace: Option<&Namespace>,
) -> Result<Found, ContainerdError> {
    let wanted = Wanted::new(name);
    if let Some(namespace) = namespace {
        return match wanted.find(store, namespace)? {
            Some(record) => Ok(Found { namespace: namespace.clone(), record, also: Vec::new() }),
            None => Err(wanted.not_found(store, Some(namespace))?),
        };
    }
    let mut found = Vec::new();
    for namespace in store.namespaces()? {
        if let Some(record) = wanted.find(store, &namespace)? {
            found.push((namespace, record));
        }
    }
    let Some(((namespace, record), others)) = found.split_first() else {
        return Err(wanted.not_found(store, None)?);
    };
    if others.iter().any(|(_, other)| !other.target.same_content(&record.target)) {
        let digests =
            found.iter().map(|(namespace, it)| (namespace.clone(), it.target.digest.clone()));
        return Err(ContainerdError::Ambiguous { name: name.to_owned(), found: digests.collect() });
    }
    Ok(Found {
        namespace: namespace.clone(),
        record: record.clone(),
        also: others.iter().map(|(namespace, _)| namespace.clone()).collect(),
    })
}

/// A name in all the forms in which a record may have it.
struct Wanted<'a> {
    name: &'a str,
    normalised: Option<String>,
    digest: Option<Digest>,
    repository: Option<String>,
}

impl<'a> Wanted<'a> {
    fn new(name: &'a str) -> Self {
        if let Ok(digest) = name.parse() {
            return Self { name, normalised: None, digest: Some(digest), repository: None };
        }
        // What is no reference is a name all the same.
        let reference = name.parse::<Reference>().ok().map(Reference::with_default_tag);
        Self {
            name,
            normalised: reference.as_ref().map(ToString::to_string).filter(|it| it != name),
            digest: reference.as_ref().and_then(|it| it.digest().cloned()),
            repository: reference.as_ref().map(Reference::repository),
        }
    }

    fn find(
        &self,
        store: &dyn ContentStore,
        namespace: &Namespace,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        for name in [Some(self.name), self.normalised.as_deref()].into_iter().flatten() {
            if let Some(record) = store.image(namespace, name)? {
                self.has_digest(&record)?;
                return Ok(Some(record));
            }
        }
        let Some(digest) = &self.digest else { return Ok(None) };
        let images = store.images(namespace)?;
        let is_wanted = |image: &ImageRecord| {
            let repository = || image.name.parse().map(|it: Reference| it.repository()).ok();
            image.target.digest == *digest
                && (self.repository.is_none() || self.repository == repository())
        };
        Ok(images.into_iter().find(is_wanted))
    }

    /// A record called `repo@sha256:...` must not name something else.
    fn has_digest(&self, record: &ImageRecord) -> Result<(), ContainerdError> {
        match (&self.digest, &self.repository) {
            (Some(expected), Some(_)) if record.target.digest != *expected => {
                let what = format!("the record {}", record.name);
                let (expected, found) = (expected.clone(), record.target.digest.clone());
                Err(ContainerdError::Mismatch { what, expected, found })
            }
            // `sha256:<config>` is how CRI names an image by its ID.
            _ => Ok(()),
        }
    }

    /// Says where it is, or what is like it.
    fn not_found(
        &self,
        store: &dyn ContentStore,
        namespace: Option<&Namespace>,
    ) -> Result<ContainerdError, ContainerdError> {
        let available = store.namespaces()?;
        let mut elsewhere = Vec::new();
        let mut close = Vec::new();
        for other in &available {
            if namespace.is_some_and(|namespace| namespace != other)
                && self.find(store, other)?.is_some()
            {
                elsewhere.push(other.clone());
            }
            for image in store.images(other)? {
                let likeness = self.likeness(&image.name);
                if likeness >= LIKENESS {
                    close.push((likeness, other.clone(), image.name));
                }
            }
        }
        let place = store.place().into();
        if let Some(wanted) = namespace.filter(|it| !available.contains(it)) {
            let wanted = wanted.clone();
            return Ok(ContainerdError::NoSuchNamespace { wanted, place, available, elsewhere });
        }
        close.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (&a.1, &a.2).cmp(&(&b.1, &b.2))));
        close.truncate(CLOSE);
        Ok(ContainerdError::NoSuchImage {
            name: self.name.to_owned(),
            namespace: namespace.cloned(),
            place,
            elsewhere,
            close: close.into_iter().map(|(_, namespace, name)| (namespace, name)).collect(),
        })
    }

    /// How much a name is like this one, from 0 to 1: typing errors, or only the end of it.
    fn likeness(&self, name: &str) -> f64 {
        let wanted = self.normalised.as_deref().unwrap_or(self.name);
        let last = |name: &str| {
            let name = name.split('@').next().unwrap_or_default();
            let last = name.rsplit('/').next().unwrap_or_default();
            last.split(':').next().unwrap_or_default().to_owned()
        };
        if !last(name).is_empty() && last(name) == last(wanted) {
            return 1.0;
        }
        strsim::normalized_levenshtein(wanted, name)
    }
}
