//! The digests that real Go toolchains produced (`testdata/gogzip/README.md`).

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use dockseal::gogzip::Generation;
use sha2::{Digest, Sha256};

#[path = "gogzip/inputs.rs"]
mod inputs;

use inputs::{Writes, generate, named};

/// Above this size a vector needs an optimised build.
const LARGE: usize = 100_000;

#[derive(Clone)]
struct Vector {
    name: String,
    input: Input,
    input_sha256: String,
    writes: Writes,
    generation: Generation,
    gzip_len: usize,
    gzip_sha256: String,
}

#[derive(Clone)]
enum Input {
    Kind(String, u64, usize),
    Named(String),
}

impl Vector {
    fn check(&self) {
        let input = match &self.input {
            Input::Kind(kind, seed, len) => generate(kind, *seed, *len),
            Input::Named(name) => named(name),
        };
        assert_eq!(hex(&input), self.input_sha256, "input of {}", self.name);
        for (encoder, compress) in inputs::ENCODERS {
            let gzip = compress(self.generation, &self.writes, &input);
            let found = (gzip.len(), hex(&gzip));
            let expected = (self.gzip_len, self.gzip_sha256.clone());
            assert_eq!(found, expected, "{encoder} {} of {}", self.generation, self.name);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json_vectors(generation: Generation) -> Vec<Vector> {
    let text = match generation {
        Generation::Go1_8 => include_str!("../testdata/gogzip/go1.19.json"),
        Generation::Go1_27 => include_str!("../testdata/gogzip/go1.27.json"),
    };
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    let vectors = document["vectors"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let number = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    vectors
        .iter()
        .map(|vector| {
            let (kind, len) = (text(&vector["kind"]), number(&vector["len"]));
            let seed = vector["seed"].as_u64().unwrap();
            Vector {
                name: format!("{kind} {seed} {len} {}", text(&vector["writes"])),
                input: Input::Kind(kind, seed, len),
                input_sha256: text(&vector["in_sha256"]),
                writes: text(&vector["writes"]).parse().unwrap(),
                generation,
                gzip_len: number(&vector["gz_len"]),
                gzip_sha256: text(&vector["gz_sha256"]),
            }
        })
        .collect()
}

fn tsv_vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for line in include_str!("../testdata/gogzip/vectors.tsv").lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let sha256 = |text: &str| text.strip_prefix("sha256:").unwrap().to_owned();
        for (generation, first) in [(Generation::Go1_8, 2), (Generation::Go1_27, 4)] {
            vectors.push(Vector {
                name: columns[0].to_owned(),
                input: Input::Named(columns[0].to_owned()),
                input_sha256: sha256(columns[1]),
                writes: Writes::Size(32768),
                generation,
                gzip_len: columns[first + 1].parse().unwrap(),
                gzip_sha256: sha256(columns[first]),
            });
        }
    }
    vectors
}

fn size(vector: &Vector) -> usize {
    match &vector.input {
        Input::Kind(_, _, len) => *len,
        Input::Named(name) => name.rsplit('-').next().unwrap().parse().unwrap(),
    }
}

fn check(vectors: &[Vector], expected: usize, is_chosen: impl Fn(&Vector) -> bool) {
    let chosen: Vec<&Vector> = vectors.iter().filter(|vector| is_chosen(vector)).collect();
    assert_eq!(chosen.len(), expected, "no vector may get lost");
    chosen.into_iter().for_each(Vector::check);
}

fn is_small(vector: &Vector) -> bool {
    size(vector) <= LARGE
}

fn is_large(vector: &Vector) -> bool {
    !is_small(vector)
}

#[test]
fn go1_8_small() {
    check(&json_vectors(Generation::Go1_8), 351, is_small);
}

#[test]
fn go1_27_small() {
    check(&json_vectors(Generation::Go1_27), 351, is_small);
}

#[test]
fn tsv_small() {
    check(&tsv_vectors(), 96, is_small);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimisation")]
fn go1_8_large() {
    check(&json_vectors(Generation::Go1_8), 39, is_large);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimisation")]
fn go1_27_large() {
    check(&json_vectors(Generation::Go1_27), 29, is_large);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimisation")]
fn tsv_large() {
    check(&tsv_vectors(), 28, is_large);
}

/// The six pairs in which only the Write sizes differ really differ.
#[test]
fn write_sizes_change_the_output_of_go1_8_only() {
    for seed in [1203, 1766, 1885, 2011, 2682, 3095u64] {
        let input = generate("far", seed, 120_000);
        let cut = usize::try_from(65535 - seed % 250).unwrap();
        let list = Writes::List(vec![cut]);
        for (encoder, compress) in inputs::ENCODERS {
            let differ = |generation| {
                compress(generation, &Writes::Whole, &input) != compress(generation, &list, &input)
            };
            assert!(differ(Generation::Go1_8), "{encoder}, seed {seed}");
            assert!(!differ(Generation::Go1_27), "{encoder}, seed {seed}");
        }
    }
}

/// Complete files from the specification, one Write each.
#[test]
fn small_files() {
    let sentence = "The cat sat on the mat. The dog sat on the log. The cat sat on the dog. The \
                    log sat on the mat, and the cat and the dog sat on the log of the mat.";
    let files: [(&[u8], &str, &str); 5] = [
        (
            b"",
            "1f8b08000000000000ff010000ffff0000000000000000",
            "1f8b08000000000000ff03000000000000000000",
        ),
        (
            b"a",
            "1f8b08000000000000ff4a04040000ffff43beb7e801000000",
            "1f8b08000000000000ff000100feff61030043beb7e801000000",
        ),
        (
            b"abcd bcdefgh abcdefgh!",
            "1f8b08000000000000ff4a4c4a4e51484a4e494d4bcf504884321401010000ffff3b016f1616000000",
            "1f8b08000000000000ff001600e9ff6162636420626364656667682061626364656667682103003b016f1616\
             000000",
        ),
        (
            &[0; 1024],
            "1f8b08000000000000ff621805a360148c5800080000ffff2eafb5ef00040000",
            "1f8b08000000000000ff621805a360148c580018002eafb5ef00040000",
        ),
        (
            sentence.as_bytes(),
            "1f8b08000000000000ff0ac94855484e2c51284e2c51c8cf5328c94855c84d2cd1530089a7e4a7238be7e4a7\
             43c4d1d4a7c0c47350d5e72696e82824e6a58039203d3036a6b90af96970ab01010000ffff106cb354920000\
             00",
            "1f8b08000000000000ff0ac94855484e2c51284e2c51c8cf5328c94855c84d2cd1530089a7e4a7238be7e4a7\
             eb2960519f0213cf41559f9b58a2a3909897025604d20363639aab909fa6509291aa909b58a2071800106cb3\
             5492000000",
        ),
    ];
    for (input, go1_8, go1_27) in files {
        for (generation, expected) in [(Generation::Go1_8, go1_8), (Generation::Go1_27, go1_27)] {
            for (encoder, compress) in inputs::ENCODERS {
                let gzip = compress(generation, &Writes::Whole, input);
                let found: String = gzip.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(found, expected, "{encoder} {generation} of {input:?}");
            }
        }
    }
}
