//! What a graph-driver engine remembers of its pulls and pushes (spec/docker.md §4.5): by DiffID,
//! the digests that registries have of a layer, and the repositories where. No sizes.
//!
//! The directory is `DATA/image/DRIVER/distribution`; only root can read it. Its neighbour
//! `imagedb` holds the configs, by which it is told whether a directory is that of the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fsutil::{self, FileError};
use crate::image::config;
use crate::image::digest::Digest;
use crate::image::json;

/// Engines keep 50 records of a layer.
const MAX_FILE: usize = 1 << 20;
const RULES: json::Rules = json::Rules {
    max_bytes: MAX_FILE,
    max_depth: 4,
    known: &["Digest", "HMAC", "SourceRepository"],
    free_maps: &[],
};

/// One place where an engine knows a layer to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Record {
    /// Digest of the compressed layer there.
    #[serde(rename = "Digest")]
    pub digest: Digest,
    /// The repository, with its registry.
    #[serde(rename = "SourceRepository")]
    pub repository: String,
}

/// What is known of each layer, oldest first, by DiffID.
pub type Records = BTreeMap<Digest, Vec<Record>>;

/// An engine's distribution directory.
#[derive(Clone, Debug)]
pub struct Distribution {
    directory: PathBuf,
}

/// Why the records can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// Not readable, or not there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory is that of another engine, or of none.
    #[error("{} is not where the engine keeps image {image}", directory.display())]
    OtherEngine {
        /// The directory.
        directory: PathBuf,
        /// The image.
        image: Digest,
    },
    /// A record that no engine writes.
    #[error("{}: {source}", path.display())]
    Record {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        source: json::ReadError,
    },
}

impl Distribution {
    /// The directory below an engine's data for its graph driver.
    #[must_use]
    pub fn of_engine(root: &Path, driver: &str) -> Self {
        Self { directory: root.join("image").join(driver).join("distribution") }
    }

    /// A directory that was named.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The config of an image, hashed.
    ///
    /// # Errors
    /// When it is not there, or another one.
    pub fn config(&self, image: &Digest) -> Result<Vec<u8>, DistributionError> {
        // Not `..`: the directory may be reached over a link.
        let data = self.directory.parent().unwrap_or_else(|| Path::new("/"));
        let path = data.join("imagedb/content/sha256").join(image.hex());
        let bytes = fsutil::read_regular(&path, config::MAX_BYTES as u64)?;
        if Digest::of(image.algorithm(), &bytes) != *image {
            let directory = self.directory.clone();
            return Err(DistributionError::OtherEngine { directory, image: image.clone() });
        }
        Ok(bytes)
    }

    /// What the engine that has this image knows of these layers.
    ///
    /// # Errors
    /// When that can't be read, or the directory is not that of the engine.
    pub fn records(
        &self,
        image: &Digest,
        diff_ids: &[Digest],
    ) -> Result<Records, DistributionError> {
        self.config(image).map_err(|error| match error {
            DistributionError::File(error) if error.is_not_found() => {
                let directory = self.directory.clone();
                DistributionError::OtherEngine { directory, image: image.clone() }
            }
            error => error,
        })?;
        // Engines make the directory when they start.
        let known = self.directory.join("v2metadata-by-diffid");
        std::fs::read_dir(&self.directory)
            .map_err(|source| FileError::io("reading", &self.directory, source))?;
        let mut records = Records::new();
        for diff_id in diff_ids {
            let path = known.join(diff_id.algorithm().name()).join(diff_id.hex());
            let found = match fsutil::read_regular(&path, MAX_FILE as u64) {
                Ok(bytes) => json::read(&bytes, &RULES)
                    .map_err(|source| DistributionError::Record { path, source })?,
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            records.insert(diff_id.clone(), found);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "an engine's directory that is not there")]

    use std::fs;

    use super::*;

    #[test]
    fn records_of_the_engine_that_has_the_image() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("image/vfs");
        let distribution = Distribution::of_engine(root.path(), "vfs");
        let image = Digest::sha256(b"{}");
        let (known, new) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let layers = [known.clone(), new.clone()];
        let records = || distribution.records(&image, &layers);
        assert!(matches!(records(), Err(DistributionError::OtherEngine { .. })));
        fs::create_dir_all(data.join("imagedb/content/sha256")).unwrap();
        let config = data.join("imagedb/content/sha256").join(image.hex());
        fs::write(&config, "{}").unwrap();
        assert!(matches!(records(), Err(DistributionError::File(_))), "no distribution directory");
        let directory = data.join("distribution/v2metadata-by-diffid/sha256");
        fs::create_dir_all(&directory).unwrap();
        assert_eq!(records().unwrap()[&known], []);
        // As dockerd 20.10 wrote it.
        let file = directory.join(known.hex());
        let text = format!(
            r#"[{{"Digest":"{new}","SourceRepository":"127.0.0.1:5000/lab/dup","HMAC":"cf3c"}}]"#
        );
        fs::write(&file, text).unwrap();
        let record =
            Record { digest: new.clone(), repository: "127.0.0.1:5000/lab/dup".to_owned() };
        assert_eq!(records().unwrap()[&known], [record]);
        assert_eq!(records().unwrap()[&new], []);
        for bad in ["{}", "[{}]", r#"[{"digest":"x"}]"#, ""] {
            fs::write(&file, bad).unwrap();
            assert!(matches!(records(), Err(DistributionError::Record { .. })), "{bad}");
        }
        fs::write(&config, "{ }").unwrap();
        assert!(matches!(records(), Err(DistributionError::OtherEngine { .. })));
    }
}
