//! Choosing one image of an archive.

use std::fmt;
use std::str::FromStr;

use super::error::GenerateError;
use crate::content::archive::{DockerImage, OciEntry};
use crate::image::digest::Digest;
use crate::image::reference::{Reference, ReferenceError};

/// An image named by the user: a reference or a digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageChoice {
    text: String,
    name: Option<Reference>,
    id: Option<Digest>,
}

impl FromStr for ImageChoice {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let id = text.parse().ok();
        let name = match id {
            Some(_) => None,
            None => Some(text.parse::<Reference>()?.with_default_tag()),
        };
        Ok(Self { text: text.to_owned(), name, id })
    }
}

impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What can be chosen by name or digest.
pub(super) trait Choosable {
    /// Its names.
    fn names(&self) -> &[Reference];
    /// A digest that identifies it.
    fn id(&self) -> &Digest;
    /// Names that are no references.
    fn other_names(&self) -> &[String];
}

impl Choosable for DockerImage {
    fn names(&self) -> &[Reference] {
        &self.tags
    }

    fn id(&self) -> &Digest {
        &self.config.digest
    }

    fn other_names(&self) -> &[String] {
        &[]
    }
}

impl Choosable for OciEntry {
    fn names(&self) -> &[Reference] {
        &self.names
    }

    fn id(&self) -> &Digest {
        &self.descriptor.digest
    }

    fn other_names(&self) -> &[String] {
        &self.ref_names
    }
}

/// Chooses the image that was asked for, or the only one.
pub(super) fn select<'a, T: Choosable>(
    images: &'a [T],
    choice: Option<&ImageChoice>,
) -> Result<&'a T, GenerateError> {
    let Some(choice) = choice else {
        return match images {
            [only] => Ok(only),
            _ => Err(GenerateError::Choose { available: available(images) }),
        };
    };
    let matching: Vec<&T> = images.iter().filter(|image| matches(*image, choice)).collect();
    match matching.as_slice() {
        [only] => Ok(only),
        [] => Err(GenerateError::NoSuchImage {
            wanted: choice.to_string(),
            available: available(images),
        }),
        // One name for two images.
        [..] => Err(GenerateError::Choose {
            available: matching.iter().map(|image| image.id().to_string()).collect(),
        }),
    }
}

pub(super) fn matches<T: Choosable>(image: &T, choice: &ImageChoice) -> bool {
    if choice.id.as_ref() == Some(image.id()) {
        return true;
    }
    let by_name = choice.name.as_ref().is_some_and(|name| image.names().contains(name));
    by_name || image.other_names().contains(&choice.text)
}

fn available<T: Choosable>(images: &[T]) -> Vec<String> {
    images
        .iter()
        .map(|image| match (image.names(), image.other_names()) {
            ([name, ..], _) => name.familiar(),
            ([], [name, ..]) => name.clone(),
            ([], []) => image.id().to_string(),
        })
        .collect()
}
