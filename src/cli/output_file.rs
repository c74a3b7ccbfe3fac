//! Data that goes to stdout or, with `-o`, to a file that appears whole or not at all.

use std::path::Path;

use serde_json::json;

use crate::fsutil::{self, Mode};
use crate::image::digest::Digest;

use super::context::Context;
use super::failure::Failure;

/// Writes data to `output`, or to stdout if there is none or it is called `-`.
///
/// # Errors
/// When it can't be written, or would replace the `input`.
pub(super) fn write_data(
    bytes: &[u8],
    output: Option<&Path>,
    input: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    let Some(output) = output.filter(|path| path.as_os_str() != "-") else {
        return Ok(context.printer.data(bytes)?);
    };
    if input.is_some_and(|input| fsutil::is_same_file(input, output)) {
        let text = format!("{} is the input, it is not overwritten", output.display());
        return Err(Failure::usage(text));
    }
    fsutil::write_atomic(output, bytes, Mode::Public)?;
    Ok(context.printer.json(json!({
        "verdict": "written",
        "path": output,
        "digest": Digest::sha256(bytes),
        "size": bytes.len(),
    }))?)
}
