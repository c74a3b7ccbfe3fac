//! S6: documents that two parsers would read as two different documents.

use crate::build::{Members, config, docker, docker_of, layers, oci, oci_manifest, oci_of};
use crate::{MALFORMED, assert_refused, refusal};

/// The first member, written again in these ways.
fn variants(name: &str) -> Vec<String> {
    let mut upper = name.to_uppercase();
    if upper == name {
        upper = name.to_lowercase();
    }
    vec![name.to_owned(), upper]
}

#[test]
fn s6_manifest_json() {
    for name in ["Config", "RepoTags", "Layers", "Parent", "LayerSources"] {
        for variant in variants(name) {
            let bad = docker().replace(
                "manifest.json",
                "{",
                &format!("{{\"{variant}\":null,\"{name}\":null,"),
            );
            assert_refused(&bad.tar(), MALFORMED, "manifest.json: ");
        }
    }
    let bad = docker().replace("manifest.json", "\"Config\"", "\"config\"");
    assert_refused(&bad.tar(), MALFORMED, "differs only in letter case from \"Config\"");
    // U+017F folds to s, U+212A to k, for Go.
    let bad = docker().replace("manifest.json", "\"Layers\"", "\"Layer\u{17f}\":[],\"Layers\"");
    assert_refused(&bad.tar(), MALFORMED, "manifest.json: ");
}

#[test]
fn s6_config() {
    let text = config(&layers()).to_string();
    for (from, to) in [
        ("{\"arch", "{\"rootfs\":{},\"arch"),
        ("{\"arch", "{\"RootFS\":{},\"arch"),
        ("{\"arch", "{\"ROOTFS\":null,\"rootfs\":null,\"arch"),
        ("\"diff_ids\"", "\"Diff_IDs\""),
        ("\"diff_ids\"", "\"diff_ids\":[],\"diff_ids\""),
        ("\"os\"", "\"OS\":\"windows\",\"os\""),
        ("\"os\"", "\"o\u{17f}\":\"windows\",\"os\""),
        ("\"os\"", "\"\\u006fs\":\"windows\",\"os\""),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        let (code, message) = refusal(&config_archive(&bad));
        assert_eq!(code, MALFORMED, "{to}: {message}");
        assert!(message.starts_with("config "), "{to}: {message}");
    }
    // Labels are free: letter case is theirs.
    let labels = text.replace("{\"a\":\"b\"}", "{\"a\":\"b\",\"A\":\"c\",\"Config\":\"d\"}");
    assert_ne!(labels, text);
    crate::manifest(&config_archive(&labels)).unwrap();
    let twice = text.replace("{\"a\":\"b\"}", "{\"a\":\"b\",\"a\":\"c\"}");
    assert_refused(&config_archive(&twice), MALFORMED, "duplicate member \"a\"");
}

/// A docker-archive whose config has these bytes and the name they deserve.
fn config_archive(text: &str) -> Vec<u8> {
    let mut members = docker_of(&layers(), &config(&layers()));
    let old = members.names()[2].clone();
    let new = format!("{}.json", dockseal::image::digest::Digest::sha256(text.as_bytes()).hex());
    let bytes = members.get(&old);
    *bytes = text.as_bytes().to_vec();
    members.0[2].name.clone_from(&new);
    members.replace("manifest.json", &old, &new).tar()
}

#[test]
fn s6_manifest_and_index() {
    let mut members = Members(Vec::new());
    let config = config(&[]).to_string();
    members.blob(config.as_bytes());
    let good = oci_manifest(&config, &[]);
    for (from, to) in [
        ("\"layers\"", "\"Layers\""),
        ("\"layers\"", "\"layers\":[],\"layers\""),
        ("\"layers\"", "\"LAYERS\":[],\"layers\""),
        ("\"config\"", "\"Config\":{},\"config\""),
        ("\"schemaVersion\"", "\"schemaversion\":2,\"schemaVersion\""),
        ("\"mediaType\"", "\"mediatype\":\"x\",\"mediaType\""),
        ("\"digest\"", "\"Digest\":\"x\",\"digest\""),
        ("\"size\"", "\"\u{17f}ize\":7,\"size\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let (code, message) = refusal(&oci_of(members.clone(), &bad).tar());
        assert_eq!(code, MALFORMED, "{to}: {message}");
        let (code, message) = refusal(
            &oci_of(members.clone(), &good).replace("index.json", from_index(from), to).tar(),
        );
        assert_eq!(code, MALFORMED, "index.json, {to}: {message}");
    }
}

/// The member of an index that is like this one of a manifest.
fn from_index(name: &str) -> &str {
    match name {
        "\"layers\"" | "\"config\"" => "\"manifests\"",
        other => other,
    }
}

#[test]
fn s6_trailing_data_and_encodings() {
    for name in ["manifest.json", "index.json", "oci-layout"] {
        let good = if name == "manifest.json" { docker() } else { oci() };
        let text = String::from_utf8(good.clone().get(name).clone()).unwrap();
        for bad in [
            format!("{text} x"),
            format!("{text}{text}"),
            format!("{text}\0"),
            format!("\u{feff}{text}"),
            format!("{text}]"),
            text[..text.len() - 2].to_owned(),
            text.replacen('"', "'", 2),
            format!("// comment\n{text}"),
            text.replacen(':', ":NaN,\"x\":", 1),
            "[".repeat(100_000),
            "nul".to_owned(),
            String::new(),
        ] {
            let mut members = good.clone();
            *members.get(name) = bad.clone().into_bytes();
            let (code, message) = refusal(&members.tar());
            let shown: String = bad.chars().take(60).collect();
            assert_eq!(code, MALFORMED, "{name} {shown}: {message}");
        }
        let mut members = good.clone();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        *members.get(name) = utf16;
        assert_eq!(refusal(&members.tar()).0, MALFORMED, "{name} in UTF-16");
        let mut members = good;
        members.get(name)[3] = 0xff;
        assert_eq!(refusal(&members.tar()).0, MALFORMED, "{name} not in UTF-8");
    }
}
