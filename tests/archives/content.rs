//! What is in an archive is bound to what names it (S1, S3, S4, S5, S8, S10, S11, S12), and an
//! archive that ends early or is something else is told as what it is.

use dockseal::generate::{Note, Options};
use dockseal::image::digest::Digest;
use serde_json::{Value, json};

use crate::build::{
    Member, Members, Tar, blob_name, config, containerd, descriptor, docker, docker_of, graph,
    gzip, index, layers, oci, oci_manifest, oci_of,
};
use crate::{
    MALFORMED, MISMATCH, UNDETERMINABLE, assert_refused, exit_code, manifest, manifest_with,
    options,
};

fn families() -> [(&'static str, Members); 4] {
    [("docker", docker()), ("graph", graph()), ("containerd", containerd()), ("oci", oci())]
}

#[test]
fn the_undamaged_archives_are_good() {
    let expected = [manifest(&docker().tar()), manifest(&oci().tar())].map(Result::unwrap);
    for (family, members) in families() {
        let generated = manifest(&members.tar()).unwrap_or_else(|e| panic!("{family}: {e}"));
        let stored = matches!(family, "containerd" | "oci");
        assert_eq!(generated.bytes, expected[usize::from(stored)].bytes, "{family}");
    }
}

/// Whatever byte of an archive changes: it is refused, or the byte had no part in the manifest.
#[test]
fn s3_a_flipped_byte_is_refused_or_changes_nothing() {
    for (family, members) in families() {
        let good = members.tar();
        let expected = manifest(&good).unwrap().bytes;
        // Every byte takes a minute; a stride that is prime to 512 meets every field.
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x01;
            if let Ok(generated) = manifest(&bad) {
                let text = String::from_utf8_lossy(&generated.bytes);
                assert!(generated.bytes == expected, "{family}, byte {at}: {text}");
            }
        }
    }
}

/// One flipped byte in the middle of each member: the refusal names the member.
#[test]
fn s3_the_refusal_names_the_blob() {
    for (family, members) in families() {
        for name in members.names() {
            if matches!(name.as_str(), "manifest.json" | "index.json" | "oci-layout") {
                continue;
            }
            let mut bad = members.clone();
            let bytes = bad.get(&name);
            // In documents a digit of a digest, so that they stay what they were.
            let at = bytes.windows(7).position(|w| w == b"sha256:").map_or(20, |at| at + 7);
            bytes[at] ^= if bytes[at].is_ascii_digit() { 0x01 } else { 0x02 };
            match manifest(&bad.tar()) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(&name), "{family}: {name}: {text}");
                    // What its name says counts more than what it decompresses to.
                    assert!(text.contains("expected"), "{family}: {name}: {text}");
                    assert!(!text.contains("decompressing"), "{family}: {name}: {text}");
                }
                // docker's synthetic OCI manifest has no part in a graph-driver push, yet it is
                // what containerd would read.
                Ok(_) => panic!("{family}: {name}: accepted"),
            }
        }
    }
}

#[test]
fn s3_a_layer_is_bound_to_its_diff_id() {
    let mut bad = docker();
    let name = bad.names()[1].clone();
    let bytes = bad.get(&name);
    let expected = Digest::sha256(bytes).to_string();
    bytes[600] ^= 0x20;
    let found = Digest::sha256(bytes).to_string();
    let message = format!("layer {name} does not match: expected {expected}, found {found}");
    assert_refused(&bad.tar(), MISMATCH, &message);
}

#[test]
fn s3_a_config_is_bound_to_the_name_that_claims_its_digest() {
    let members = docker();
    let name = members.names()[2].clone();
    let bad = members.replace(&name, "amd64", "arm64");
    assert_refused(&bad.tar(), MISMATCH, &format!("config {name:?} does not match: expected"));
}

#[test]
fn s3_a_blob_is_bound_to_its_name_even_if_the_diff_id_fits() {
    // Another gzip of the same layer under the name of the first.
    let mut members = containerd();
    let name = blob_name(&Digest::sha256(&gzip(&layers()[0])));
    let mut other = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut other, &layers()[0]).unwrap();
    *members.get(&name) = other.finish().unwrap();
    assert_refused(&members.tar(), MISMATCH, &format!("layer {name} does not match"));
}

#[test]
fn s1_sizes_of_descriptors_are_checked() {
    let mut members = Members(Vec::new());
    let config = config(&[]).to_string();
    members.blob(config.as_bytes());
    let manifest = oci_manifest(&config, &[]);
    let length = config.len();
    let bad = manifest.replace(&format!("\"size\":{length}"), &format!("\"size\":{}", length + 1));
    assert_ne!(manifest, bad);
    assert_refused(&oci_of(members.clone(), &bad).tar(), MISMATCH, "has the wrong size");
    let size = format!("\"size\":{}", manifest.len());
    let index = oci_of(members, &manifest).replace("index.json", &size, "\"size\":7");
    assert_refused(&index.tar(), MISMATCH, "expected 7 bytes");
}

#[test]
fn s4_two_views_with_different_configs() {
    // manifest.json names another image than index.json, under the same tag.
    for family in [graph(), containerd()] {
        let mut members = family;
        let mut other = config(&layers());
        other["architecture"] = Value::from("arm64");
        let old = blob_name(&Digest::sha256(config(&layers()).to_string().as_bytes()));
        let new = blob_name(&members.blob(other.to_string().as_bytes()));
        let bad = members.replace("manifest.json", &old, &new);
        assert_refused(&bad.tar(), MALFORMED, "manifest.json and index.json disagree about");
    }
}

#[test]
fn s4_two_views_with_different_layers() {
    let mut members = containerd();
    let first = blob_name(&Digest::sha256(&gzip(&layers()[0])));
    let evil = Tar::default().file("bin/one", b"evil").finish();
    let second = blob_name(&members.blob(&gzip(&evil)));
    let bad = members.replace("manifest.json", &first, &second);
    assert_refused(&bad.tar(), MALFORMED, "their layers differ");
}

#[test]
fn s4_a_tag_that_only_one_view_has() {
    for family in [graph(), containerd()] {
        let bad = family.clone().replace("manifest.json", "test:1", "test:2");
        assert_refused(&bad.tar(), MALFORMED, "index.json does not have it");
        let bad = family.replace("index.json", "library/test:1", "library/test:2");
        assert_refused(&bad.tar(), MALFORMED, "index.json does not have it");
    }
}

#[test]
fn s4_an_image_that_only_index_json_has() {
    let mut members = graph();
    let other = json!({"architecture": "arm64", "os": "linux",
                       "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    members.blob(other.as_bytes());
    let manifest = oci_manifest(&other, &[]);
    let digest = members.blob(manifest.as_bytes());
    let hidden = index(&manifest, &digest).replace("test:1", "test:2");
    let hidden: Value = serde_json::from_str(&hidden).unwrap();
    let hidden = hidden["manifests"][0].to_string();
    let bad =
        members.replace("index.json", "\"manifests\":[", &format!("\"manifests\":[{hidden},"));
    assert_refused(&bad.tar(), MALFORMED, "manifest.json does not have it");
}

/// What an entry of index.json says of itself does not hide an image that engines would load.
#[test]
fn s4_an_image_that_says_it_is_none() {
    let evil = json!({"architecture": "arm64", "os": "linux",
                      "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    let marked = |named: bool, mark: Value| {
        let mut members = oci();
        members.blob(evil.as_bytes());
        let manifest = oci_manifest(&evil, &[]);
        let digest = members.blob(manifest.as_bytes());
        let mut entry: Value = serde_json::from_str(&index(&manifest, &digest)).unwrap();
        let mut entry = entry["manifests"][0].take();
        if !named {
            entry["annotations"] = json!({});
        }
        match mark {
            Value::String(subject) => {
                entry["annotations"]["io.containerd.manifest.subject"] = json!(subject);
            }
            kind => entry["artifactType"] = kind["artifactType"].clone(),
        }
        let text = format!("\"manifests\":[{entry},");
        members.replace("index.json", "\"manifests\":[", &text).tar()
    };
    let expected = manifest(&oci().tar()).unwrap().bytes;
    let digest = Digest::sha256(&expected).to_string();
    for mark in [json!(digest), json!({"artifactType": "application/vnd.cncf.notary.signature"})] {
        // Under the name of the good one.
        let error = manifest(&marked(true, mark.clone())).expect_err("two images");
        assert!(error.to_string().contains("holds 2 images"), "{error}");
        // Without a name there is no choosing it, and it is told.
        let generated = manifest(&marked(false, mark)).unwrap();
        assert_eq!(generated.bytes, expected);
        let note = Note::Disguised(1);
        assert!(generated.notes.contains(&note) && !note.is_detail(), "{:?}", generated.notes);
    }
}

/// `ctr images export` lists a signature that has an image record beside the images, in both views.
#[test]
fn a_signature_that_has_a_record_is_no_image() {
    let expected = manifest(&containerd().tar()).unwrap().bytes;
    let mut members = containerd();
    let (config, envelope) = (members.blob(b"{}"), members.blob(b"an envelope"));
    let mut signature: Value = serde_json::from_str(&oci_manifest(
        "{}",
        &[descriptor("application/jose+json", &envelope, b"an envelope")],
    ))
    .unwrap();
    signature["config"]["mediaType"] = json!("application/vnd.cncf.notary.signature");
    signature["subject"] =
        serde_json::from_slice::<Value>(members.get("index.json")).unwrap()["manifests"][0].clone();
    let signature = signature.to_string();
    let digest = members.blob(signature.as_bytes());
    let listed: Value = serde_json::from_str(&index(&signature, &digest)).unwrap();
    let entry = json!({"Config": blob_name(&config), "RepoTags": [format!("test@{digest}")],
                       "Layers": [blob_name(&envelope)]});
    for (name, list, more) in
        [("index.json", "/manifests", &listed["manifests"][0]), ("manifest.json", "", &entry)]
    {
        let bytes = members.get(name);
        let mut document: Value = serde_json::from_slice(bytes).unwrap();
        document.pointer_mut(list).and_then(Value::as_array_mut).unwrap().push(more.clone());
        *bytes = document.to_string().into_bytes();
    }
    assert_eq!(manifest(&members.tar()).unwrap().bytes, expected);
    // Alone it is nothing.
    *members.get("manifest.json") = json!([entry]).to_string().into_bytes();
    let error = manifest(&members.without("index.json").tar()).unwrap_err();
    assert_eq!(exit_code(&error), MALFORMED, "{error}");
}

/// An image that no engine finds is told, and no archive of an engine holds one.
#[test]
fn s4_an_image_that_nothing_leads_to() {
    let unreferenced = |notes: &[Note]| {
        notes.iter().any(|note| matches!(note, Note::Unreferenced(1)) && !note.is_detail())
    };
    let hidden = json!({"architecture": "arm64", "os": "linux",
                        "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    for (family, mut members) in families() {
        let generated = manifest(&members.tar()).unwrap();
        assert!(!unreferenced(&generated.notes), "{family}");
        members.blob(hidden.as_bytes());
        let more = manifest(&members.tar()).unwrap();
        assert_eq!(more.bytes, generated.bytes);
        assert!(unreferenced(&more.notes), "{family}: {:?}", more.notes);
    }
}

#[test]
fn s5_duplicate_members() {
    for (family, members) in families() {
        for name in members.names() {
            let bytes = members.clone().get(&name).clone();
            let bad = members.clone().with(&name, &bytes);
            assert_refused(&bad.tar(), MALFORMED, &format!("are named {name:?}"));
            let bad = members.clone().with(&format!("./x/..//{name}"), b"{}");
            assert_refused(&bad.tar(), MALFORMED, &format!("are named {name:?}"));
        }
        assert!(!members.0.is_empty(), "{family}");
    }
}

#[test]
fn s8_manifest_and_index_in_one() {
    let mut members = Members(Vec::new());
    let config = config(&[]).to_string();
    members.blob(config.as_bytes());
    let manifest = oci_manifest(&config, &[]);
    for extra in ["\"manifests\":[]", "\"manifests\":null,\"fsLayers\":[]"] {
        let both = manifest.replacen('{', &format!("{{{extra},"), 1);
        let (code, text) = crate::refusal(&oci_of(members.clone(), &both).tar());
        assert_eq!(code, MALFORMED, "{text}");
    }
    let index = json!({"schemaVersion": 2,
                       "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
    // The descriptor says manifest, the bytes say index.
    let (code, text) = crate::refusal(&oci_of(members.clone(), &index.to_string()).tar());
    assert_eq!(code, MALFORMED, "{text}");
    let index = json!({"schemaVersion": 2, "manifests": []});
    let (code, text) = crate::refusal(&oci_of(members, &index.to_string()).tar());
    assert_eq!(code, MALFORMED, "{text}");
}

#[test]
fn s12_descriptors_are_strict() {
    let good = oci();
    let hex = {
        let text = String::from_utf8(good.clone().get("index.json").clone()).unwrap();
        text.split("sha256:").nth(1).unwrap()[..64].to_owned()
    };
    let from = format!("sha256:{hex}");
    for to in [
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("SHA256:{hex}"),
        format!("sha1:{}", &hex[..40]),
        format!("sha256-{hex}"),
        format!("sha256:../../{}", &hex[6..]),
        hex,
        String::new(),
    ] {
        let bad = good.clone().replace("index.json", &from, &to);
        assert_refused(&bad.tar(), MALFORMED, "index.json");
    }
    for size in ["-1", "1.5", "\"5\"", "18446744073709551616", "null"] {
        let mut bad = good.clone();
        let mut index: Value = serde_json::from_slice(bad.get("index.json")).unwrap();
        index["manifests"][0]["size"] = json!("SIZE");
        *bad.get("index.json") = index.to_string().replace("\"SIZE\"", size).into_bytes();
        assert_refused(&bad.tar(), MALFORMED, "index.json");
    }
}

#[test]
fn s12_diff_ids_are_strict() {
    for bad in ["sha256:ABCD", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", ""] {
        let mut config = config(&layers());
        config["rootfs"]["diff_ids"][0] = json!(bad);
        let (code, text) = crate::refusal(&docker_of(&layers(), &config).tar());
        assert_eq!(code, MALFORMED, "{text}");
    }
}

#[test]
fn missing_content() {
    for (family, members) in families() {
        for name in members.names() {
            let stored = matches!(family, "containerd" | "oci");
            let (code, text) = match manifest(&members.clone().without(&name).tar()) {
                Err(error) => (exit_code(&error), error.to_string()),
                // Without one view the other one stands alone.
                Ok(_) if matches!(name.as_str(), "manifest.json" | "index.json" | "oci-layout") => {
                    continue;
                }
                Ok(_) => panic!("{family}: accepted without {name}"),
            };
            // A missing layer or config of a stored image is what a partial pull leaves.
            let allowed = code == MALFORMED || stored && code == UNDETERMINABLE;
            assert!(allowed, "{family} without {name}: {code} {text}");
        }
    }
}

#[test]
fn s10_a_layer_is_decompressed_under_a_budget() {
    let zeros = vec![0; 80 << 20];
    let bomb = zstd::encode_all(zeros.as_slice(), 3).unwrap();
    let members = docker_of(&[zeros], &config(std::slice::from_ref(&bomb)));
    let mut members = Members(members.0);
    let name = members.names()[0].clone();
    *members.get(&name) = bomb;
    assert_refused(&members.tar(), MALFORMED, "the compression ratio (a bomb?) exceeds the limit");
    let limited = |change: fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        let layer = gzip(&layers()[0]);
        let mut members = docker_of(&layers()[..1], &config(&layers()[..1]));
        let name = members.names()[0].clone();
        *members.get(&name) = layer;
        manifest_with(&members.tar(), &options)
    };
    limited(|_| {}).unwrap();
    let error = limited(|o| o.limits.layer_bytes = 2047).unwrap_err();
    assert_eq!(exit_code(&error), MALFORMED, "{error}");
    assert!(error.to_string().contains("the size after decompression"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.to_string().contains("--max-size")), "{error}");
}

#[test]
fn s10_the_archive_is_decompressed_under_a_budget() {
    let padded = docker().with("zeros", &vec![0; 80 << 20]).tar();
    let bomb = zstd::encode_all(padded.as_slice(), 3).unwrap();
    assert_refused(&bomb, MALFORMED, "the compression ratio (a bomb?) exceeds the limit");
    let mut options = options();
    options.limits.total_bytes = 4096;
    let error = manifest_with(&gzip(&docker().tar()), &options).unwrap_err();
    assert_eq!(exit_code(&error), MALFORMED, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.to_string().contains("--max-size")), "{error}");
}

#[test]
fn s11_named_limits() {
    let limited = |members: &Members, change: &dyn Fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        let error = manifest_with(&members.tar(), &options).expect_err("over the limit");
        assert_eq!((exit_code(&error), error.hint()), (MALFORMED, None), "{error}");
        error.to_string()
    };
    let text = limited(&docker(), &|o| o.limits.members = 3);
    assert_eq!(text, "the number of members is larger than the limit of 3");
    let text = limited(&docker(), &|o| o.limits.document_bytes = 100);
    assert!(text.contains("limit of 100"), "{text}");
    let text = limited(&docker(), &|o| o.limits.name_bytes = 20);
    assert!(text.contains("is too long"), "{text}");
}

#[test]
fn s11_indexes_nest_only_so_deep() {
    let mut members = Members(Vec::new());
    let config = config(&[]).to_string();
    members.blob(config.as_bytes());
    let mut document = oci_manifest(&config, &[]);
    let mut media_type = "application/vnd.oci.image.manifest.v1+json";
    for _ in 0..8 {
        let digest = members.blob(document.as_bytes());
        let child = descriptor(media_type, &digest, document.as_bytes());
        media_type = "application/vnd.oci.image.index.v1+json";
        document =
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [child]}).to_string();
    }
    let layout = b"{\"imageLayoutVersion\":\"1.0.0\"}";
    let members = members.with("index.json", document.as_bytes()).with("oci-layout", layout);
    assert_refused(&members.tar(), MALFORMED, "the nesting of indexes");
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn index_of(children: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).to_string()
}

/// An image without layers below indexes that each list the one below them so many times.
fn fan(widths: &[usize], config: &str) -> Members {
    let mut members = Members(Vec::new());
    members.blob(config.as_bytes());
    let mut document = oci_manifest(config, &[]);
    let mut media_type = MANIFEST;
    for width in widths {
        let digest = members.blob(document.as_bytes());
        let child = descriptor(media_type, &digest, document.as_bytes());
        document = index_of(&vec![child; *width]);
        media_type = INDEX;
    }
    let layout = b"{\"imageLayoutVersion\":\"1.0.0\"}";
    members.with("index.json", document.as_bytes()).with("oci-layout", layout)
}

/// Two kilobytes that lead to 27 million manifests.
#[test]
fn s11_what_is_listed_again_counts_again() {
    let config = config(&[]).to_string();
    let listed = "the number of manifests and configs that are listed";
    for widths in [&[300, 300, 300, 1][..], &[150, 150, 1], &[1, 10_000, 3, 1], &[10_000, 2, 1]] {
        assert_refused(&fan(widths, &config).tar(), MALFORMED, listed);
    }
    // index.json lists one index, and that as many manifests with a config as are allowed, but one.
    manifest(&fan(&[9999, 1], &config).tar()).unwrap();
}

#[test]
fn s11_what_is_read_again_counts_again() {
    let limited = |members: &Members, documents: usize, bytes: u64| {
        let mut options = options();
        options.limits.listed_documents = documents;
        options.limits.document_bytes = bytes;
        manifest_with(&members.tar(), &options).map_err(|e| (exit_code(&e), e.to_string()))
    };
    let large = format!("{}{}", config(&[]), " ".repeat(10_000));
    let members = fan(&[20, 1], &large);
    limited(&members, 100, 1 << 20).unwrap();
    let (code, text) = limited(&members, 100, 100_000).unwrap_err();
    let sum = "the sum of all manifests and configs that are listed is larger than the limit of";
    assert!(code == MALFORMED && text.contains(sum), "{code} {text}");

    // Entries of index.json and of manifest.json.
    let mut docker = docker();
    let entries = docker.get("manifest.json");
    let entry: Value = serde_json::from_slice::<Vec<Value>>(entries).unwrap().remove(0);
    *entries = json!(vec![entry; 10]).to_string().into_bytes();
    for (members, documents) in [(docker, 10), (fan(&[10], &large), 20)] {
        limited(&members, documents, 1 << 20).unwrap();
        let (code, text) = limited(&members, documents - 1, 1 << 20).unwrap_err();
        assert!(code == MALFORMED && text.contains("that are listed"), "{code} {text}");
    }
}

#[test]
fn one_manifest_listed_for_two_platforms_is_of_both() {
    let mut members = Members(Vec::new());
    let config = config(&[]).to_string();
    members.blob(config.as_bytes());
    let document = oci_manifest(&config, &[]);
    let digest = members.blob(document.as_bytes());
    let of = |architecture: &str| {
        let mut child = descriptor(MANIFEST, &digest, document.as_bytes());
        child["platform"] = json!({"os": "linux", "architecture": architecture});
        child
    };
    let index = index_of(&[of("amd64"), of("arm64")]);
    let digest = members.blob(index.as_bytes());
    let top = index_of(&[descriptor(INDEX, &digest, index.as_bytes())]);
    let layout = b"{\"imageLayoutVersion\":\"1.0.0\"}";
    let members = members.with("index.json", top.as_bytes()).with("oci-layout", layout);
    for platform in ["linux/amd64", "linux/arm64"] {
        let options = Options { platform: Some(platform.parse().unwrap()), ..options() };
        let generated = manifest_with(&members.tar(), &options).unwrap();
        assert_eq!(generated.bytes, document.as_bytes(), "{platform}");
    }
}

#[test]
fn s11_a_thousand_layers_and_more() {
    let entry = |count: usize| {
        let layer = layers()[0].clone();
        let mut members = docker_of(&[], &config(&vec![layer.clone(); count]));
        let names = vec!["l"; count];
        let bytes = members.get("manifest.json");
        let mut entry: Value = serde_json::from_slice(bytes).unwrap();
        entry[0]["Layers"] = json!(names);
        *bytes = entry.to_string().into_bytes();
        members.with("l", &layer).tar()
    };
    manifest(&entry(127)).unwrap();
    let (code, text) = crate::refusal(&entry(1025));
    assert!(code == MALFORMED && text.contains("1024"), "{code} {text}");
}

#[test]
fn truncated_at_every_block() {
    for (family, members) in families() {
        let whole = members.tar();
        let expected = manifest(&whole).unwrap().bytes;
        for cut in (512..whole.len()).step_by(512).flat_map(|at| [at - 1, at, at + 1]) {
            match manifest(&whole[..cut]) {
                Err(error) => {
                    assert_eq!(exit_code(&error), MALFORMED, "{family} at {cut}: {error}")
                }
                // One of the two blocks of zeros at the end is enough.
                Ok(generated) => {
                    assert!(cut >= whole.len() - 512, "{family}: accepted at {cut}");
                    assert_eq!(generated.bytes, expected);
                }
            }
        }
    }
}

#[test]
fn truncated_says_so() {
    let whole = docker().tar();
    for cut in [whole.len() - 1024, 512 + 5, 1024] {
        assert_refused(&whole[..cut], MALFORMED, "truncated");
    }
}

#[test]
fn truncated_inside_compression() {
    let whole = docker().tar();
    let xz = {
        let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
        std::io::Write::write_all(&mut out, &whole).unwrap();
        out.finish().unwrap()
    };
    let bzip2 = {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        std::io::Write::write_all(&mut out, &whole).unwrap();
        out.finish().unwrap()
    };
    let zstd = zstd::encode_all(whole.as_slice(), 1).unwrap();
    for (name, compressed) in [("gzip", gzip(&whole)), ("zstd", zstd), ("xz", xz), ("bzip2", bzip2)]
    {
        let expected = manifest(&whole).unwrap().bytes;
        assert_eq!(manifest(&compressed).unwrap().bytes, expected, "{name}");
        for cut in 1..compressed.len() {
            let (code, text) = crate::refusal(&compressed[..cut]);
            assert_eq!(code, MALFORMED, "{name} at {cut}: {text}");
        }
        let trailing = [compressed.as_slice(), b"trailing data"].concat();
        let (code, text) = crate::refusal(&trailing);
        assert_eq!(code, MALFORMED, "{name}: {text}");
    }
}

#[test]
fn a_truncated_gzip_layer() {
    let layer = gzip(&layers()[0]);
    let mut members = docker_of(&layers()[..1], &config(&layers()[..1]));
    let name = members.names()[0].clone();
    for cut in 10..layer.len() {
        *members.get(&name) = layer[..cut].to_vec();
        let (code, text) = crate::refusal(&members.tar());
        assert!(code == MALFORMED && text.contains(&name), "{cut}: {code} {text}");
    }
}

#[test]
fn something_else_is_told_as_what_it_is() {
    let rootfs = Tar::default()
        .file(".dockerenv", b"")
        .file("etc/hostname", b"x")
        .file("usr/bin/env", b"\x7fELF")
        .finish();
    let old = Tar::default()
        .file("abc/VERSION", b"1.0")
        .file("abc/json", b"{}")
        .file("abc/layer.tar", b"")
        .file("repositories", b"{}")
        .finish();
    let nested = Tar::default().file("image/manifest.json", b"[]").finish();
    let noise: Vec<u8> =
        (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (archive, message) in [
        (&b""[..], "the archive is empty"),
        (&[0; 10_240], "a tar without members"),
        (&noise, "the data is not a tar archive"),
        (b"{\"schemaVersion\":2}", "the data is not a tar archive"),
        (&rootfs, "a root filesystem, as `docker export` writes it"),
        (&old, "docker 1.9 or older"),
        (&nested, "inside the directory \"image\""),
        (&Tar::default().file("a", b"b").finish(), "no manifest.json"),
    ] {
        let error = manifest(archive).expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(exit_code(&error), MALFORMED, "{error}");
    }
    for archive in [&rootfs, &old] {
        assert!(manifest(archive).unwrap_err().hint().is_some());
    }
}

/// Members that no manifest names have no part in it, and are not kept.
#[test]
fn unused_members_are_skipped() {
    let expected = manifest(&docker().tar()).unwrap().bytes;
    let mut more = docker();
    more.0.insert(0, Member { name: "README".into(), bytes: vec![b'x'; 5000], mode: 0o600 });
    assert_eq!(manifest(&more.tar()).unwrap().bytes, expected);
}
