//! `dockseal manifest`

use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use super::output_file::write_data;
use super::source::{ImageArgs, Source};

// Arguments of `dockseal manifest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal manifest image.tar > manifest.json
  docker save app:1 | dockseal manifest - -o manifest.json
  dockseal manifest docker-daemon:app:1
  dockseal manifest oci:layout:v1 --platform linux/arm64
  dockseal manifest containerd:busybox:1.36 --namespace k8s.io
  dockseal manifest containerd:busybox:1.36 --containerd-root /mnt/var/lib/containerd")]
pub(super) struct ManifestArgs {
    /// The image: an archive, a directory, - for standard input, or docker-daemon:, containerd:,
    /// docker-archive:, oci-archive:, oci:
    #[arg(value_name = "SOURCE")]
    source: Source,
    #[command(flatten)]
    image: ImageArgs,
    /// Write the manifest to FILE
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ManifestArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let generated = self.image.generate(&self.source, context)?;
        let input = match &self.source {
            Source::Archive { path, .. } => Some(path.as_path()),
            _ => None,
        };
        write_data(&generated.bytes, self.output.as_deref(), input, context)
    }
}
