//! A build without the feature `docker`: images of the engine have to be saved first.

use crate::doctor::{Area, Finding, Severity};
use crate::generate::Generated;
use crate::image::hint;
use crate::load::CleanArchive;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress_bar::ProgressBar;
use super::source::{ImageArgs, Question};

/// Stands for the docker client that is not asked.
#[derive(Debug, Default)]
pub(super) struct Client {
    _nothing: (),
}

/// Says what helps.
pub(super) fn examine(
    _args: &ImageArgs,
    name: &str,
    _client: &Client,
    _question: &Question,
    _context: &Context,
) -> Result<Generated, Failure> {
    Err(Failure::new(Exit::Unavailable, "this build can't read from docker-daemon itself")
        .with_hint(
            hint::shell(&["docker", "save", name])
                .map(|save| format!("{save} | dockseal manifest -")),
        ))
}

/// Says what helps.
pub(super) fn load(
    _clean: &CleanArchive<'_>,
    _image: &Generated,
    _bar: &ProgressBar,
    _context: &Context,
) -> Result<String, Failure> {
    Err(Failure::new(Exit::Unavailable, "this build can't load into an engine itself")
        .with_hint(Some("dockseal load ARCHIVE --output clean.tar && docker load -i clean.tar")))
}

/// Nothing is asked, so no names are known.
pub(super) fn names() -> Vec<String> {
    Vec::new()
}

/// What there is to say about the engine: nothing is asked.
pub(super) fn diagnose() -> Vec<Finding> {
    let text = "this build can't ask an engine; what docker save writes it can read";
    vec![Finding::new(Area::Docker, Severity::Note, text)]
}
