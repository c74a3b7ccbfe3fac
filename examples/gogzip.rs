//! Compresses a file as Go's gzip writer does, for measurements and comparisons.
//!
//! ```text
//! gogzip [--go go1.8|go1.27] [--threads N] [--writes SIZE] [--plain] [FILE]
//! ```
//!
//! Reads FILE or standard input in Writes of SIZE bytes (default 32768) and writes to standard
//! output.

use std::error::Error;
use std::io::{self, Read, Write};
use std::num::NonZero;

use dockseal::gogzip::{Generation, Options, plain};

fn main() -> Result<(), Box<dyn Error>> {
    let mut generation = Generation::Go1_8;
    let mut size = 32768;
    let mut is_plain = false;
    let mut threads = NonZero::<usize>::MIN;
    let mut file = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--go" => generation = value()?.parse()?,
            "--writes" => size = value()?.parse::<usize>()?.max(1),
            "--threads" => threads = value()?.parse()?,
            "--plain" => is_plain = true,
            _ => file = Some(argument),
        }
    }
    #[expect(clippy::disallowed_methods, reason = "an example has no fsutil")]
    let input: Box<dyn Read> = match file {
        Some(path) => Box::new(std::fs::File::open(path)?),
        None => Box::new(io::stdin()),
    };
    if is_plain {
        compress_plainly(input, io::stdout(), size, generation)?;
    } else {
        let mut gzip = Options::new(generation).threads(threads).writer(io::stdout());
        copy(input, size, |data| gzip.write_all(data))?;
        gzip.finish()?.flush()?;
    }
    Ok(())
}

fn compress_plainly(
    input: impl Read,
    mut output: impl Write,
    size: usize,
    generation: Generation,
) -> io::Result<()> {
    let mut encoder = plain::Encoder::new(generation);
    let mut gzip = Vec::new();
    copy(input, size, |data| {
        encoder.write(data, &mut gzip);
        output.write_all(&gzip)?;
        gzip.clear();
        Ok(())
    })?;
    encoder.finish(&mut gzip);
    output.write_all(&gzip)
}

/// Passes the input on in pieces of exactly `size` bytes, the last one shorter.
fn copy(
    mut input: impl Read,
    size: usize,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(size);
    loop {
        buffer.clear();
        input.by_ref().take(size as u64).read_to_end(&mut buffer)?;
        if buffer.is_empty() {
            return Ok(());
        }
        write(&buffer)?;
    }
}
