//! The fast encoder against the plain one: one thread and several, tiny chunks, odd Write sizes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::gogzip::{Generation, plain};

/// What an input is made of.
#[derive(Clone, Debug)]
enum Piece {
    Noise(usize),
    /// Noise of few different bytes, full of short matches.
    Letters(u8, usize),
    Run(u8, usize),
    /// The bytes from so far before, and so many of them.
    Copy(usize, usize),
    /// Copies with single bytes between them.
    Copies(usize, usize, usize),
}

fn piece() -> impl Strategy<Value = Piece> {
    let distance = prop_oneof![
        1usize..300,
        4090usize..4100,
        32_400usize..32_512,
        32_760usize..32_770,
        1usize..70_000
    ];
    let length = prop_oneof![3usize..12, 120usize..135, 250usize..265, 1usize..3000];
    prop_oneof![
        (0usize..8000).prop_map(Piece::Noise),
        (2u8..30, 0usize..20_000).prop_map(|(letters, len)| Piece::Letters(letters, len)),
        (0u8..3, prop_oneof![1usize..600, 30_000usize..70_000])
            .prop_map(|(byte, len)| Piece::Run(byte, len)),
        (distance.clone(), prop_oneof![length.clone(), 10_000usize..60_000])
            .prop_map(|(distance, len)| Piece::Copy(distance, len)),
        (distance, length, 1usize..60)
            .prop_map(|(distance, len, times)| Piece::Copies(distance, len, times)),
    ]
}

fn build(pieces: &[Piece], seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 16
    };
    let mut bytes: Vec<u8> = Vec::new();
    let copy = |bytes: &mut Vec<u8>, distance: usize, len: usize| {
        for _ in 0..len {
            let byte = if bytes.len() >= distance { bytes[bytes.len() - distance] } else { 7 };
            bytes.push(byte);
        }
    };
    for piece in pieces {
        match *piece {
            Piece::Noise(len) => bytes.extend((0..len).map(|_| random() as u8)),
            Piece::Letters(letters, len) => {
                bytes.extend((0..len).map(|_| (random() % u64::from(letters)) as u8));
            }
            Piece::Run(byte, len) => bytes.resize(bytes.len() + len, byte),
            Piece::Copy(distance, len) => copy(&mut bytes, distance, len),
            Piece::Copies(distance, len, times) => {
                for _ in 0..times {
                    copy(&mut bytes, distance, len);
                    bytes.push(random() as u8);
                }
            }
        }
    }
    bytes
}

/// Sizes of Write calls: tiny, ordinary, and such that they end near a multiple of 32768.
fn writes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        0usize..400,
        32_000usize..33_000,
        Just(32_768usize),
        65_000usize..66_000,
        1usize..150_000
    ];
    prop_oneof![vec(size, 0..20), (1usize..700).prop_map(|size| vec![size; 1000])]
}

fn cut<'a>(mut input: &'a [u8], writes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in writes {
        let (piece, rest) = input.split_at(size.min(input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces.push(input);
    pieces
}

fn with_plain(pieces: &[&[u8]], generation: Generation) -> Vec<u8> {
    let mut gzip = Vec::new();
    let mut encoder = plain::Encoder::new(generation);
    pieces.iter().for_each(|piece| encoder.write(piece, &mut gzip));
    encoder.finish(&mut gzip);
    gzip
}

fn with_fast(pieces: &[&[u8]], deflate: Deflate) -> Vec<u8> {
    let mut gzip = Vec::new();
    let mut encoder = Encoder::with(deflate);
    for piece in pieces {
        encoder.write(piece, &mut gzip).unwrap();
    }
    encoder.finish(&mut gzip).unwrap();
    gzip
}

fn sequential() -> Deflate {
    Deflate::Sequential(Box::new(Sequential::new()))
}

fn parallel(threads: usize, chunk: usize, warm_up: usize) -> Deflate {
    let threads = NonZero::new(threads).unwrap();
    Deflate::Parallel(Box::new(Parallel::new(threads, Tuning { chunk, warm_up })))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 16 } else { 400 }))]

    #[test]
    fn all_forms_give_the_same_bytes(
        pieces in vec(piece(), 0..14),
        seed in any::<u64>(),
        writes in writes(),
        chunk in prop_oneof![1usize..300, 3000usize..5000, 32_000usize..33_500, 1usize..150_000],
        warm_up in prop_oneof![Just(0usize), 1usize..200, 1000usize..30_000],
        threads in 1usize..4,
    ) {
        let input = build(&pieces, seed);
        // A job per byte would take very long.
        let chunk = chunk.max(input.len() / 200);
        let writes = cut(&input, &writes);
        let expected = with_plain(&writes, Generation::Go1_8);
        prop_assert!(with_fast(&writes, sequential()) == expected, "sequential");
        let found = with_fast(&writes, parallel(threads, chunk, warm_up));
        prop_assert!(found == expected, "parallel");
    }

    #[test]
    fn both_forms_of_go1_27_give_the_same_bytes(
        pieces in vec(piece(), 0..14),
        seed in any::<u64>(),
        writes in writes(),
    ) {
        let input = build(&pieces, seed);
        let writes = cut(&input, &writes);
        let expected = with_plain(&writes, Generation::Go1_27);
        let found = with_fast(&writes, Deflate::Greedy(Box::new(Greedy::new())));
        prop_assert!(found == expected);
    }
}

/// Every length near the points where the buffer slides, in one Write and in Writes that end just
/// before the buffer is full.
#[test]
fn lengths_near_slides() {
    let pieces = [Piece::Letters(4, 40_000), Piece::Copies(32_500, 40, 1500), Piece::Noise(2000)];
    let input = build(&pieces, 4711);
    for middle in [65_274, 65_536, 98_042, 98_304] {
        for len in middle - 4..middle + 5 {
            for boundary in [len, middle / 32_768 * 32_768 + 32_768 - 100, 65_400, 100] {
                let writes = cut(&input[..len], &[boundary.min(len)]);
                let expected = with_plain(&writes, Generation::Go1_8);
                assert!(with_fast(&writes, sequential()) == expected, "{len} {boundary}");
                let found = with_fast(&writes, parallel(2, 32_768, 600));
                assert!(found == expected, "parallel {len} {boundary}");
            }
        }
    }
}

/// Periodic data never fall into step; guesses must stop, and start again behind them.
#[test]
fn periodic_data_between_others() {
    let pieces = [
        Piece::Letters(7, 30_000),
        Piece::Copy(1, 200_000),
        Piece::Letters(20, 100_000),
        Piece::Copy(301, 200_000),
        Piece::Noise(50_000),
        Piece::Run(0, 100_001),
        Piece::Letters(3, 70_000),
    ];
    let input = build(&pieces, 1);
    let writes = cut(&input, &[]);
    let expected = with_plain(&writes, Generation::Go1_8);
    for threads in [1, 2, 3] {
        assert!(with_fast(&writes, parallel(threads, 10_000, 1000)) == expected, "{threads}");
    }
}

/// The limit of 128 candidates holds although few of them are looked at.
#[test]
fn chains_with_exactly_as_many_candidates_as_are_visited() {
    for count in 126..131 {
        // The best match is the oldest candidate; the others agree on five bytes.
        let mut input = b"abcdeBEST".to_vec();
        for i in 0..count {
            input.extend_from_slice(b"abcde");
            input.extend_from_slice(format!("{i:04}-").as_bytes());
        }
        input.extend_from_slice(b"abcdeBEST!");
        input.resize(input.len() + 300, b'.');
        let writes = cut(&input, &[]);
        assert!(
            with_fast(&writes, sequential()) == with_plain(&writes, Generation::Go1_8),
            "{count}"
        );
    }
}
