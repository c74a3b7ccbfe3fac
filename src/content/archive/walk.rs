//! What it may cost to follow an archive's indexes.
//!
//! A document is stored once and may be listed any number of times, by indexes that are listed any
//! number of times themselves: 2 KB can lead to more manifests than there is memory for (`security.md`
//! S11). The same manifest may stand in an index twice and mean two platforms, so what was seen is not
//! left out. What is counted is what is read, as often as it is read.

use super::error::ArchiveError;
use super::scan::Archive;
use crate::content::limits::Limits;
use crate::image::config::ImageConfig;

/// One walk over indexes, manifests and configs, and what is left of its budget.
#[derive(Debug)]
pub struct Walk {
    limits: Limits,
    documents: usize,
    bytes: u64,
}

impl Walk {
    /// Checks how deep indexes are nested: where a walk begins the depth is 0.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`].
    pub fn at_depth(&self, depth: usize) -> Result<(), ArchiveError> {
        let limit = self.limits.index_depth;
        if depth <= limit {
            return Ok(());
        }
        let what = "the nesting of indexes".to_owned();
        Err(ArchiveError::Limit { what, limit: limit as u64 })
    }

    /// Counts a document that is about to be read.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`]: it is one too many.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.documents += 1;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let limit = |what: &str, limit| Err(ArchiveError::Limit { what: what.to_owned(), limit });
        if self.documents > self.limits.listed_documents {
            let most = self.limits.listed_documents as u64;
            return limit("the number of manifests and configs that are listed", most);
        }
        if self.bytes > self.limits.document_bytes {
            let most = self.limits.document_bytes;
            return limit("the sum of all manifests and configs that are listed", most);
        }
        Ok(())
    }

    /// What was read, or nothing where that can't be read and need not be. That the walk may read no
    /// more is an error there too.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`].
    pub fn if_readable<T>(&self, read: Result<T, ArchiveError>) -> Result<Option<T>, ArchiveError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if self.is_over() => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn is_over(&self) -> bool {
        self.documents > self.limits.listed_documents || self.bytes > self.limits.document_bytes
    }
}

impl Archive {
    /// Begins a walk. All that a stranger can have repeated belongs to one.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk { limits: *self.limits(), documents: 0, bytes: 0 }
    }

    /// Reads the config in a member (a resolved name). It is not compared with what names it.
    ///
    /// # Errors
    /// When it is missing, malformed, or more than the walk may read.
    pub fn config(&self, name: &str, walk: &mut Walk) -> Result<ImageConfig, ArchiveError> {
        let bytes = self.document("config", name)?;
        walk.read(bytes)?;
        ImageConfig::parse(bytes)
            .map_err(|source| ArchiveError::Config { name: name.to_owned(), source })
    }
}
