//! A build without the feature `timestamp-client`: nobody is asked, and timestamps go by way of files.

use super::authority::by_way_of_files;
use super::failure::Failure;

/// Stands for the client that there is not.
#[derive(Debug)]
pub(super) enum TsaClient {}

impl TsaClient {
    /// Says what helps.
    pub(super) fn new(_url: &str) -> Result<Self, TsaError> {
        Err(TsaError)
    }

    pub(super) fn ask(&self, _request: &[u8]) -> Result<Vec<u8>, TsaError> {
        match *self {}
    }
}

/// Why no authority is asked.
#[derive(Debug, thiserror::Error)]
#[error("this build can't ask a timestamping authority itself")]
pub(super) struct TsaError;

impl From<TsaError> for Failure {
    fn from(error: TsaError) -> Self {
        by_way_of_files(&error)
    }
}
