//! S7: what tar readers take differently. S9: names and links that lead elsewhere.

use crate::build::{Entry, Tar, docker};
use crate::{MALFORMED, assert_refused, manifest};

/// A good archive behind something bad.
fn behind(tar: Tar) -> Vec<u8> {
    tar.append(&docker().tar()).finish()
}

#[test]
fn s7_sizes_in_pax_headers() {
    // RUSTSEC-2025-0111: one reader takes the header's size, the other the PAX size.
    for (size, message) in [("3", "two sizes"), ("0", "two sizes"), ("-1", "size"), ("x", "size")] {
        let tar = Tar::default().pax(b'x', &[("size", size)]).file("a", &[b'x'; 600]);
        assert_refused(&behind(tar), MALFORMED, message);
    }
    let tar = Tar::default().pax(b'x', &[("size", "600")]).file("a", &[b'x'; 600]);
    manifest(&behind(tar)).unwrap();
    let tar = Tar::default().pax(b'x', &[("size", "18446744073709551615")]);
    let tar = tar.entry(Entry { size: 0, ..Entry::file("a", b"") });
    assert_refused(&behind(tar), MALFORMED, "size out of range");
}

#[test]
fn s7_pax_headers() {
    for (records, message) in [
        (&[("path", "a"), ("path", "b")][..], "a PAX key twice"),
        (&[("GNU.sparse.major", "1")], "sparse member"),
        (&[("GNU.sparse.size", "9")], "sparse member"),
    ] {
        let tar = Tar::default().pax(b'x', records).file("a", b"");
        assert_refused(&behind(tar), MALFORMED, message);
    }
    for key in ["path", "linkpath", "size"] {
        let tar = Tar::default().pax(b'g', &[(key, "1")]).file("a", b"");
        assert_refused(&behind(tar), MALFORMED, "a global PAX header");
    }
    for data in ["", "5 a=b\n", "7 a=b\n", "6 ab=\n", "x a=b\n", "99999999999999999999 a=b\n"] {
        let tar = Tar::default().entry(Entry::of(b'x', "x", data.as_bytes())).file("a", b"");
        let result = manifest(&behind(tar));
        // An empty header says nothing; "6 a=b\n" would be right.
        assert_eq!(result.is_ok(), matches!(data, "" | "6 ab=\n"), "{data:?}: {result:?}");
    }
    let twice = Tar::default().pax(b'x', &[("a", "b")]).pax(b'x', &[("a", "b")]).file("a", b"");
    assert_refused(&behind(twice), MALFORMED, "two extension headers");
    let both = Tar::default()
        .entry(Entry::of(b'L', "././@LongLink", b"one\0"))
        .pax(b'x', &[("path", "two")])
        .file("a", b"");
    assert_refused(&behind(both), MALFORMED, "a GNU and a PAX name");
    let nothing = Tar::default().append(&docker().tar()).pax(b'x', &[("path", "a")]).finish();
    assert_refused(&nothing, MALFORMED, "describes no member");
}

#[test]
fn s7_kinds_of_members() {
    for kind in [b'3', b'4', b'6', b'S', b'V', b'M', b'D', b'A', b'\xff'] {
        let tar = Tar::default().entry(Entry::of(kind, "a", b""));
        let bad = Tar::default().append(&docker().tar()).append(&tar.finish()).finish();
        assert_refused(&bad, MALFORMED, "only files, directories and links are expected");
    }
    for kind in [b'1', b'2', b'5'] {
        let tar = Tar::default().entry(Entry { link: "b", ..Entry::of(kind, "a", &[0; 512]) });
        let bad = Tar::default().append(&docker().tar()).append(&tar.finish()).finish();
        assert_refused(&bad, MALFORMED, "a link or directory with data");
    }
}

#[test]
fn s7_checksums_and_numbers() {
    let mut bad = docker().tar();
    bad[150] ^= 1;
    assert_eq!(crate::refusal(&bad).0, MALFORMED);
    let good = docker().tar();
    for field in ["        9999", "0000000000x\0", "-0000000001\0"] {
        let mut bad = Tar::default().append(&good).file("z", b"").finish();
        let at = good.len() - 1024;
        bad[at + 124..at + 136].copy_from_slice(field.as_bytes());
        let header = &mut bad[at..at + 512];
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(crate::refusal(&bad).0, MALFORMED, "{field:?}");
    }
    // A member that claims more than there is.
    let tar = Tar::default().append(&good).entry(Entry { size: 1 << 32, ..Entry::file("z", b"") });
    assert_refused(&tar.finish(), MALFORMED, "truncated");
}

#[test]
fn s7_data_behind_the_end_is_told_and_not_read() {
    let good = docker().tar();
    let expected = manifest(&good).unwrap().bytes;
    let evil = Tar::default().file("manifest.json", b"[]").finish();
    let generated = manifest(&[good, evil].concat()).unwrap();
    assert_eq!(generated.bytes, expected);
    let note = dockseal::generate::Note::TrailingData;
    assert!(generated.notes.contains(&note) && !note.is_detail());
}

#[test]
fn s9_names_that_escape() {
    for name in ["../x", "/etc/passwd", "a/../../x", "..", "./../x", "/", "a/b/../../../x"] {
        let (code, text) = crate::refusal(&behind(Tar::default().file(name, b"evil")));
        assert!(code == MALFORMED && text.contains("leads out"), "{name}: {code} {text}");
        let pax = Tar::default().pax(b'x', &[("path", name)]).file("a", b"evil");
        assert_refused(&behind(pax), MALFORMED, "leads out");
        let long = Entry::of(b'L', "././@LongLink", name.as_bytes());
        assert_refused(&behind(Tar::default().entry(long).file("a", b"")), MALFORMED, "leads out");
    }
    for name in ["a\nb", "a\x1b[2Jb", "a\x7fb"] {
        let bad = behind(Tar::default().file(name, b""));
        assert_refused(&bad, MALFORMED, "holds control characters");
        assert!(!crate::refusal(&bad).1.contains(name), "is shown escaped");
    }
    let long = "x".repeat(5000);
    let pax = Tar::default().pax(b'x', &[("path", &long)]).file("a", b"");
    assert_refused(&behind(pax), MALFORMED, "is too long");
}

/// Adds a member of this name.
type Maker = dyn Fn(Tar, &str) -> Tar;

/// The good archive, its first layer replaced by a link.
fn linked(make: impl Fn(Tar, &str) -> Tar) -> Vec<u8> {
    let members = docker();
    let name = members.names()[0].clone();
    make(Tar::default().append(&members.without(&name).tar()), &name).finish()
}

#[test]
fn s9_links_that_escape_or_loop() {
    for target in ["/etc/passwd", "../../etc/passwd", "../../../x"] {
        let bad = linked(|tar, name| tar.symlink(name, target));
        assert_refused(&bad, MALFORMED, "link target");
    }
    for target in ["/etc/passwd", "../x"] {
        let bad = linked(|tar, name| tar.hard_link(name, target));
        assert_refused(&bad, MALFORMED, "link target");
    }
    let loops: [&Maker; 4] = [
        &|tar, name| tar.symlink(name, "layer.tar"),
        &|tar, name| tar.hard_link(name, name),
        &|tar, name| tar.symlink(name, "../x").symlink("x", "y").symlink("y", "x"),
        &|tar, name| {
            let tar = tar.symlink(name, "../l0");
            (0..20).fold(tar, |tar, i| tar.symlink(&format!("l{i}"), &format!("l{}", i + 1)))
        },
    ];
    for make in loops {
        assert_refused(&linked(make), MALFORMED, "a loop, or too long a chain");
    }
    let bad = linked(|tar, name| tar.symlink(name, "../nothing"));
    assert_refused(&bad, MALFORMED, "is not in the archive");
    let bad = linked(|tar, name| tar.symlink(name, ""));
    assert_refused(&bad, MALFORMED, "it has no target");
}

#[test]
fn s9_links_inside_are_followed() {
    let expected = manifest(&docker().tar()).unwrap().bytes;
    let layer = crate::build::layers()[0].clone();
    let soft = linked(|tar, name| tar.symlink(name, "../the-layer").file("the-layer", &layer));
    assert_eq!(manifest(&soft).unwrap().bytes, expected);
    let hard = linked(|tar, name| tar.file("the-layer", &layer).hard_link(name, "the-layer"));
    assert_eq!(manifest(&hard).unwrap().bytes, expected);
}
