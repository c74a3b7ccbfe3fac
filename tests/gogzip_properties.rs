//! Properties of the gzip writer on random inputs, random Write sizes, and very long streams.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{self, Read, Write};

use dockseal::gogzip::{Generation, Writer, plain};
use flate2::read::{GzDecoder, MultiGzDecoder};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

#[path = "gogzip/inputs.rs"]
#[expect(dead_code, reason = "the golden vectors need more of it")]
mod inputs;

use inputs::{Writes, generate};

const GENERATIONS: [Generation; 2] = [Generation::Go1_8, Generation::Go1_27];

/// Runs, copies from afar, noise and words, one after the other.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![
        "zeros", "random", "alpha4", "skew", "text", "period", "far", "runs", "tar",
    ]);
    let piece = (kind, any::<u32>(), 0usize..40_000);
    vec(piece, 0..6).prop_map(|pieces| {
        pieces.iter().flat_map(|&(kind, seed, len)| generate(kind, u64::from(seed), len)).collect()
    })
}

/// Write sizes: tiny, ordinary and longer than any buffer.
fn writes() -> impl Strategy<Value = Writes> {
    prop_oneof![
        Just(Writes::Whole),
        (1usize..70_000).prop_map(Writes::Size),
        vec(prop_oneof![0usize..300, 32_000usize..33_500, 0usize..140_000], 0..12)
            .prop_map(Writes::List),
    ]
}

fn gunzip(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain).unwrap();
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 256 }))]

    #[test]
    fn output_decompresses_to_the_input(input in input(), writes in writes()) {
        for generation in GENERATIONS {
            for (encoder, compress) in inputs::ENCODERS {
                let gzip = compress(generation, &writes, &input);
                prop_assert!(gunzip(&gzip) == input, "{} {}", encoder, generation);
            }
        }
    }

    #[test]
    fn write_sizes_leave_no_trace_in_go1_27(input in input(), writes in writes()) {
        for (_, compress) in inputs::ENCODERS {
            let whole = compress(Generation::Go1_27, &Writes::Whole, &input);
            prop_assert_eq!(&compress(Generation::Go1_27, &writes, &input), &whole);
        }
    }
}

/// A decompressor's answer, without keeping the text: its length and whether it was as expected.
struct Sparse {
    position: u64,
    len: u64,
}

impl Sparse {
    /// Zeros, with a counter now and then.
    fn new(len: u64) -> Self {
        Self { position: 0, len }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.position).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        buffer[..count].fill(0);
        let start = self.position;
        let mut mark = start.next_multiple_of(1 << 20);
        while mark + 8 <= start + count as u64 {
            let at = usize::try_from(mark - start).unwrap();
            buffer[at..at + 8].copy_from_slice(&(mark >> 20).to_be_bytes());
            mark += 1 << 20;
        }
        self.position += count as u64;
        Ok(count)
    }
}

/// Compresses a stream into a decompressor that runs on another thread.
#[test]
#[ignore = "minutes: run with --release -- --ignored"]
fn more_than_4_gib() {
    let len = (4 << 30) + 12_345;
    for generation in GENERATIONS {
        let (reader, writer) = io::pipe().unwrap();
        let check = std::thread::spawn(move || {
            let mut plain = MultiGzDecoder::new(io::BufReader::new(reader));
            let mut expected = Sparse::new(len);
            let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
            loop {
                let count = expected.read(&mut b).unwrap();
                plain.read_exact(&mut a[..count]).unwrap();
                assert!(a[..count] == b[..count], "differs before {}", expected.position);
                if count == 0 {
                    break;
                }
            }
            assert_eq!(plain.read(&mut a).unwrap(), 0, "more than was written");
        });
        let mut gzip = Writer::new(writer, generation);
        let written = io::copy(&mut Sparse::new(len), &mut gzip).unwrap();
        assert_eq!(written, len);
        gzip.finish().unwrap().flush().unwrap();
        check.join().unwrap();
    }
}

/// Takes a digest of what is written.
#[derive(Default)]
struct Sum(Sha256);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Positions begin anew at 2^29 in the fast form of Go 1.27, and matches go on.
#[test]
#[ignore = "minutes: run with --release -- --ignored"]
fn more_than_512_mib_of_go1_27_as_the_plain_form_has_them() {
    let text = generate("text", 1, 100_000);
    let mut fast = Writer::new(Sum::default(), Generation::Go1_27);
    let mut encoder = plain::Encoder::new(Generation::Go1_27);
    let (mut expected, mut out) = (Sum::default(), Vec::new());
    let mut written = 0;
    while written < (1 << 29) + 1_000_000 {
        fast.write_all(&text).unwrap();
        encoder.write(&text, &mut out);
        expected.write_all(&out).unwrap();
        out.clear();
        written += text.len();
    }
    encoder.finish(&mut out);
    expected.write_all(&out).unwrap();
    let found = fast.finish().unwrap();
    assert_eq!(found.0.finalize(), expected.0.finalize());
}
