//! Compares the encoders with a real Go toolchain: reads what `bench/go/cases` writes.
//!
//! ```text
//! cases | gogzip_diff [--plain]
//! ```
//!
//! `--plain` checks the plain form too, which takes as long as all others together.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::num::NonZero;

use dockseal::gogzip::{Generation, Options, plain};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let is_plain = std::env::args().any(|argument| argument == "--plain");
    let mut input = BufReader::with_capacity(1 << 20, io::stdin());
    let mut version = String::new();
    input.read_line(&mut version)?;
    let generation = Generation::from_go_version(version.trim())?;

    let (mut cases, mut bytes) = (0u64, 0u64);
    while let Some(case) = Case::read(&mut input)? {
        for threads in [1, 2] {
            let threads = NonZero::new(threads).ok_or("no threads")?;
            let mut gzip = Options::new(generation).threads(threads).writer(Hash(Sha256::new()));
            for piece in case.pieces() {
                gzip.write_all(piece)?;
            }
            case.check(gzip.finish()?.0, cases)?;
        }
        if is_plain {
            let mut gzip = Vec::new();
            let mut encoder = plain::Encoder::new(generation);
            for piece in case.pieces() {
                encoder.write(piece, &mut gzip);
            }
            encoder.finish(&mut gzip);
            case.check(Sha256::new_with_prefix(gzip), cases)?;
        }
        cases += 1;
        bytes += case.input.len() as u64;
    }
    let version = version.trim();
    writeln!(io::stdout(), "{version} ({generation}): {cases} inputs, {bytes} bytes, all equal")?;
    Ok(())
}

/// Hashes what is written.
struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An input, the sizes of its Writes, and the hash of Go's gzip.
struct Case {
    sizes: Vec<usize>,
    input: Vec<u8>,
    sha256: [u8; 32],
}

impl Case {
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut number = || {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes) as usize)
        };
        let sizes = (0..number()?).map(|_| number()).collect::<io::Result<Vec<_>>>()?;
        let mut input = vec![0; sizes.iter().sum()];
        from.read_exact(&mut input)?;
        let mut sha256 = [0; 32];
        from.read_exact(&mut sha256)?;
        Ok(Some(Self { sizes, input, sha256 }))
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.sizes.iter().scan(self.input.as_slice(), |rest, &size| {
            let (piece, later) = rest.split_at_checked(size)?;
            *rest = later;
            Some(piece)
        })
    }

    fn check(&self, hash: Sha256, number: u64) -> Result<(), String> {
        if hash.finalize()[..] == self.sha256 {
            return Ok(());
        }
        Err(format!("case {number} differs: {} bytes in {:?}", self.input.len(), self.sizes))
    }
}
