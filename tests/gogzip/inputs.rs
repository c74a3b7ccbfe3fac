//! Synthetic inputs, and the ways to compress them.

use std::io::Write;
use std::num::NonZero;
use std::str::FromStr;

use dockseal::gogzip::{Generation, Options, plain};
use sha2::{Digest, Sha256};

/// How an input is cut into Write calls.
#[derive(Clone, Debug)]
pub(crate) enum Writes {
    Whole,
    Size(usize),
    /// These, then the rest.
    List(Vec<usize>),
}

impl FromStr for Writes {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "whole" {
            return Ok(Self::Whole);
        }
        match text.strip_prefix("list:") {
            Some(list) => {
                Ok(Self::List(list.split(',').map(str::parse).collect::<Result<_, _>>()?))
            }
            None => Ok(Self::Size(text.parse()?)),
        }
    }
}

impl Writes {
    pub(crate) fn cut<'a>(&self, mut input: &'a [u8]) -> Vec<&'a [u8]> {
        match self {
            Self::Whole => vec![input],
            Self::Size(size) => input.chunks(*size).collect(),
            Self::List(sizes) => {
                let mut pieces = Vec::new();
                for &size in sizes {
                    let (piece, rest) = input.split_at(size.min(input.len()));
                    pieces.push(piece);
                    input = rest;
                }
                pieces.push(input);
                pieces
            }
        }
    }
}

/// A way to compress an input.
pub(crate) type Compress = fn(Generation, &Writes, &[u8]) -> Vec<u8>;

/// Every encoder there is, by name.
pub(crate) const ENCODERS: &[(&str, Compress)] =
    &[("plain", with_plain), ("one thread", with_one_thread), ("two threads", with_two_threads)];

fn with_plain(generation: Generation, writes: &Writes, input: &[u8]) -> Vec<u8> {
    let mut gzip = Vec::new();
    let mut encoder = plain::Encoder::new(generation);
    for piece in writes.cut(input) {
        encoder.write(piece, &mut gzip);
    }
    encoder.finish(&mut gzip);
    gzip
}

fn with_one_thread(generation: Generation, writes: &Writes, input: &[u8]) -> Vec<u8> {
    with_options(Options::new(generation), writes, input)
}

fn with_two_threads(generation: Generation, writes: &Writes, input: &[u8]) -> Vec<u8> {
    let two = NonZero::new(2).unwrap();
    with_options(Options::new(generation).threads(two), writes, input)
}

fn with_options(options: Options, writes: &Writes, input: &[u8]) -> Vec<u8> {
    let mut writer = options.writer(Vec::new());
    for piece in writes.cut(input) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn byte(&mut self, n: u64) -> u8 {
        u8::try_from(self.below(n)).unwrap()
    }

    fn size(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap()
    }

    /// A word number, small ones more often.
    fn rank(&mut self) -> u64 {
        self.below(2000).min(self.below(2000))
    }
}

const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The input of a JSON vector, as `testdata/gogzip/gen/main.go` makes it.
pub(crate) fn generate(kind: &str, seed: u64, len: usize) -> Vec<u8> {
    let mut r = Xorshift(seed.wrapping_mul(GOLDEN_RATIO).wrapping_add(1));
    let mut v = Vec::with_capacity(len + 70_000);
    while v.len() < len {
        match kind {
            "zeros" => v.resize(len, 0),
            "random" => v.push(r.byte(256)),
            "alpha4" => v.push(b'a' + r.byte(4)),
            "skew" => {
                let (a, b) = (r.byte(16), r.byte(16));
                v.push(a * b);
            }
            "text" => {
                let rank = r.rank();
                word(rank, &mut v);
                v.push(if r.below(12) == 0 { b'\n' } else { b' ' });
            }
            "period" => {
                let period = 1 + usize::try_from(seed % 5000).unwrap();
                let byte = if v.len() < period { r.byte(256) } else { v[v.len() - period] };
                v.push(byte);
            }
            "far" if v.len() < 33000 => v.push(r.byte(256)),
            "far" => {
                let distance = 32429 + r.size(380);
                let length = 3 + r.size(300);
                (0..length).for_each(|_| v.push(v[v.len() - distance]));
                if r.below(2) == 0 {
                    v.push(r.byte(256));
                }
            }
            "runs" => {
                let byte = r.byte(3);
                let count = 1 + r.size(3000);
                v.resize(v.len() + count, byte);
            }
            "tar" => tar_member(&mut r, &mut v),
            _ => panic!("unknown kind {kind}"),
        }
    }
    v.truncate(len);
    v
}

fn word(number: u64, v: &mut Vec<u8>) {
    let mut r = Xorshift((number + 1).wrapping_mul(GOLDEN_RATIO));
    for _ in 0..2 + r.below(9) {
        v.push(b'a' + r.byte(26));
    }
}

fn tar_member(r: &mut Xorshift, v: &mut Vec<u8>) {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, &format!("usr/share/doc/pkg{}/file{}.txt", r.below(50), r.below(1000)));
    put(100, "0000644\x000000000\x000000000\0");
    let size = r.size(20000);
    put(124, &format!("{size:011o}\0"));
    put(136, &format!("{:011o}\0", 1_700_000_000 + r.below(1000)));
    put(257, "ustar\x0000");
    v.extend_from_slice(&header);
    let end = v.len() + size;
    if r.below(3) == 0 {
        while v.len() < end {
            v.push(r.byte(256));
        }
    } else {
        while v.len() < end {
            let rank = r.rank();
            word(rank, v);
            v.push(b' ');
        }
        v.truncate(end);
    }
    v.resize(v.len().next_multiple_of(512), 0);
}

/// The input of a TSV vector, as `testdata/gogzip/gen/vectors.py` makes it.
pub(crate) fn named(name: &str) -> Vec<u8> {
    let (kind, len) = name.rsplit_once('-').unwrap();
    let len = len.parse().unwrap();
    match kind {
        "zero" => vec![0; len],
        "rnd" => counter(len, b"v"),
        "text" => words(len),
        "mixed" => {
            let mut v = Vec::new();
            for k in 0.. {
                if v.len() >= len {
                    break;
                }
                v.extend(words(3000 + (7 * k) % 5000));
                v.extend(counter(1500 + (13 * k) % 3000, format!("m{}", k % 5).as_bytes()));
                v.resize(v.len() + 512 * (k % 4), 0);
            }
            v.truncate(len);
            v
        }
        _ => panic!("unknown kind {kind}"),
    }
}

/// SHA-256 of a prefix and a counter.
fn counter(len: usize, prefix: &[u8]) -> Vec<u8> {
    let mut v = Vec::with_capacity(len + 32);
    for i in 0u64.. {
        if v.len() >= len {
            break;
        }
        v.extend(Sha256::new().chain_update(prefix).chain_update(i.to_be_bytes()).finalize());
    }
    v.truncate(len);
    v
}

fn words(len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
    let random = counter(len / 4 + 64, b"t");
    let mut v = Vec::with_capacity(len + 16);
    for &byte in random.iter().cycle() {
        if v.len() >= len {
            break;
        }
        let end = if byte & 16 == 0 { ' ' } else { '\n' };
        v.extend(format!("{} {byte}{end}", WORDS[usize::from(byte & 7)]).bytes());
    }
    v.truncate(len);
    v
}
