//! Whatever byte of manifest or envelope is changed, verification refuses, with a code that fits.

use crate::{Host, MANIFEST};

/// Codes of refusals: invalid, content, malformed. Not trusted (12) may come from a changed
/// certificate.
const REFUSALS: [i32; 4] = [11, 12, 13, 16];

fn flip(host: &Host, file: &str, position: usize, arguments: &[&str]) -> i32 {
    let original = host.read(file);
    let mut changed = original.clone();
    changed[position] ^= 1;
    host.write(file, changed);
    let output = host.run(arguments);
    let output = output.get_output();
    assert!(output.stdout.is_empty(), "{file} byte {position}");
    host.write(file, original);
    output.status.code().unwrap()
}

#[test]
fn s1_every_byte_of_the_manifest_counts() {
    let host = Host::ready();
    host.run(&["sign", "--local", "-o", "a.sig", MANIFEST]).code(0);
    let arguments = ["verify", "--local", "-s", "a.sig", MANIFEST];
    for position in (0..host.read(MANIFEST).len()).step_by(7) {
        let code = flip(&host, MANIFEST, position, &arguments);
        assert!(matches!(code, 13 | 16), "manifest byte {position}: {code}");
    }
    host.run(&arguments).code(0);
}

#[test]
fn bytes_of_the_envelope_count() {
    let host = Host::ready();
    for format in ["jws", "cose"] {
        host.run(&["sign", "--local", "--signature-format", format, "-o", "a.sig", MANIFEST])
            .code(0);
        let arguments = ["verify", "--local", "-s", "a.sig", MANIFEST];
        let length = host.read("a.sig").len();
        // The attribute with the signing agent is the one part that nobody signed.
        let bytes = host.read("a.sig");
        let attribute = b"io.cncf.notary.signingAgent";
        let at = bytes.windows(attribute.len()).position(|it| it == attribute).unwrap();
        let value = 32;
        let unsigned = at..at + attribute.len() + value;
        for position in (0..length).step_by(97).filter(|position| !unsigned.contains(position)) {
            let code = flip(&host, "a.sig", position, &arguments);
            assert!(REFUSALS.contains(&code), "{format} byte {position} of {length}: {code}");
        }
        host.run(&arguments).code(0);
    }
}
