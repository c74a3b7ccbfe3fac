//! `dockseal schema`: what the documents of `--format json` are like.

use super::context::Context;
use super::failure::Failure;

/// JSON Schema, draft 2020-12, with a definition per command.
const SCHEMA: &str = include_str!("schema.json");

// Arguments of `dockseal schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Each command has a definition of its own, such as #/$defs/verify.

Example:
  dockseal schema > dockseal.schema.json")]
pub(super) struct SchemaArgs {}

impl SchemaArgs {
    #[expect(clippy::unused_self, reason = "as every command")]
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        Ok(context.printer.data(SCHEMA.as_bytes())?)
    }
}
