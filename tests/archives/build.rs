//! Makes small archives of the families that matter, to be damaged by tests.

use std::io::Write as _;

use dockseal::image::digest::Digest;
use serde_json::{Value, json};

/// A member of an archive that is being made.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

/// The members of an archive, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Members(pub(crate) Vec<Member>);

impl Members {
    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut tar = Tar::default();
        for Member { name, bytes, mode } in &self.0 {
            tar = tar.entry(Entry { mode: *mode, ..Entry::file(name, bytes) });
        }
        tar.finish()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|member| member.name.clone()).collect()
    }

    #[track_caller]
    pub(crate) fn get(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.0.iter_mut().find(|member| member.name == name);
        &mut found.unwrap_or_else(|| panic!("no member {name}")).bytes
    }

    /// The same archive with one member's text changed.
    #[track_caller]
    pub(crate) fn replace(mut self, name: &str, from: &str, to: &str) -> Self {
        let bytes = self.get(name);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        *bytes = text.replacen(from, to, 1).into_bytes();
        self
    }

    pub(crate) fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        self.push(name, bytes, 0o644);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|member| member.name != name);
        self
    }

    fn push(&mut self, name: &str, bytes: &[u8], mode: u32) {
        self.0.push(Member { name: name.to_owned(), bytes: bytes.to_vec(), mode });
    }

    /// Adds a blob; its digest.
    pub(crate) fn blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let name = blob_name(&digest);
        if !self.names().contains(&name) {
            self.push(&name, bytes, 0o444);
        }
        digest
    }
}

pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Two layers: small tars of one file each.
pub(crate) fn layers() -> Vec<Vec<u8>> {
    let layer = |name, text: &str| Tar::default().file(name, text.as_bytes()).finish();
    vec![layer("bin/one", "the first layer"), layer("etc/two", "the second layer")]
}

pub(crate) fn config(layers: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    json!({
        "architecture": "amd64", "os": "linux", "config": {"Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// What docker 1.10 to 24 writes: `<id>/layer.tar`, `<id>.json`, `manifest.json`.
pub(crate) fn docker() -> Members {
    docker_of(&layers(), &config(&layers()))
}

pub(crate) fn docker_of(layers: &[Vec<u8>], config: &Value) -> Members {
    let mut members = Members(Vec::new());
    let config = config.to_string();
    let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let mut names = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let name = format!("{i:064x}/layer.tar");
        members.push(&name, layer, 0o644);
        names.push(name);
    }
    members.push(&config_name, config.as_bytes(), 0o644);
    let entry = json!([{"Config": config_name, "RepoTags": ["test:1"], "Layers": names}]);
    members.with("manifest.json", format!("{entry}\n").as_bytes())
}

/// What docker 25 and newer write from a graph-driver store.
pub(crate) fn graph() -> Members {
    let mut members = Members(Vec::new());
    let config = config(&layers()).to_string();
    let config_digest = members.blob(config.as_bytes());
    let mut sources = serde_json::Map::new();
    let mut descriptors = Vec::new();
    let mut names = Vec::new();
    for layer in layers() {
        let digest = members.blob(&layer);
        let descriptor = descriptor("application/vnd.oci.image.layer.v1.tar", &digest, &layer);
        sources.insert(digest.to_string(), descriptor.clone());
        descriptors.push(descriptor);
        names.push(blob_name(&digest));
    }
    let manifest = oci_manifest(&config, &descriptors);
    let manifest_digest = members.blob(manifest.as_bytes());
    for member in &mut members.0 {
        member.mode = 0o644;
    }
    members
        .with("index.json", index(&manifest, &manifest_digest).as_bytes())
        .with(
            "manifest.json",
            format!(
                "{}\n",
                json!([{"Config": blob_name(&config_digest), "RepoTags": ["test:1"],
                        "Layers": names, "LayerSources": sources}])
            )
            .as_bytes(),
        )
        .with("oci-layout", b"{\"imageLayoutVersion\": \"1.0.0\"}")
}

/// What containerd's exporter writes: gzip layers, the original manifest.
pub(crate) fn containerd() -> Members {
    let mut members = oci();
    let mut names = Vec::new();
    for layer in layers() {
        names.push(blob_name(&members.blob(&gzip(&layer))));
    }
    let config = members.blob(config(&layers()).to_string().as_bytes());
    let entry = json!([{"Config": blob_name(&config), "RepoTags": ["test:1"], "Layers": names}]);
    members.with("manifest.json", entry.to_string().as_bytes())
}

/// An OCI archive: no `manifest.json`.
pub(crate) fn oci() -> Members {
    let mut members = Members(Vec::new());
    let config = config(&layers()).to_string();
    members.blob(config.as_bytes());
    let mut descriptors = Vec::new();
    for layer in layers() {
        let layer = gzip(&layer);
        let digest = members.blob(&layer);
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        descriptors.push(descriptor(media_type, &digest, &layer));
    }
    oci_of(members, &oci_manifest(&config, &descriptors))
}

/// The layout around a manifest whose blobs are there.
pub(crate) fn oci_of(mut members: Members, manifest: &str) -> Members {
    let digest = members.blob(manifest.as_bytes());
    members
        .with("index.json", index(manifest, &digest).as_bytes())
        .with("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")
}

pub(crate) fn oci_manifest(config: &str, layers: &[Value]) -> String {
    let config_digest = Digest::sha256(config.as_bytes());
    let config =
        descriptor("application/vnd.oci.image.config.v1+json", &config_digest, config.as_bytes());
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": layers,
    })
    .to_string()
}

pub(crate) fn index(manifest: &str, digest: &Digest) -> String {
    let mut descriptor =
        descriptor("application/vnd.oci.image.manifest.v1+json", digest, manifest.as_bytes());
    descriptor["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/test:1",
        "org.opencontainers.image.ref.name": "1",
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [descriptor]}).to_string()
}

pub(crate) fn descriptor(media_type: &str, digest: &Digest, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A tar that may be as wrong as one likes.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

/// An entry, its header and its data.
pub(crate) struct Entry<'a> {
    pub(crate) kind: u8,
    pub(crate) name: &'a str,
    pub(crate) link: &'a str,
    pub(crate) mode: u32,
    /// Size in the header.
    pub(crate) size: u64,
    pub(crate) data: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(crate) fn file(name: &'a str, data: &'a [u8]) -> Self {
        Self { kind: b'0', name, link: "", mode: 0o644, size: data.len() as u64, data }
    }

    pub(crate) fn of(kind: u8, name: &'a str, data: &'a [u8]) -> Self {
        Self { kind, ..Self::file(name, data) }
    }
}

impl Tar {
    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(Entry::file(name, data))
    }

    pub(crate) fn symlink(self, name: &str, link: &str) -> Self {
        self.entry(Entry { kind: b'2', link, ..Entry::file(name, b"") })
    }

    pub(crate) fn hard_link(self, name: &str, link: &str) -> Self {
        self.entry(Entry { kind: b'1', link, ..Entry::file(name, b"") })
    }

    /// A PAX header with these records.
    pub(crate) fn pax(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let data: String = records.iter().map(|(key, value)| pax_record(key, value)).collect();
        self.entry(Entry::of(kind, "PaxHeaders.0/x", data.as_bytes()))
    }

    pub(crate) fn entry(mut self, entry: Entry<'_>) -> Self {
        let mut header = [0; 512];
        put(&mut header, 0, entry.name.as_bytes());
        put(&mut header, 100, format!("{:07o}", entry.mode).as_bytes());
        put(&mut header, 108, b"0000000");
        put(&mut header, 116, b"0000000");
        put(&mut header, 124, format!("{:011o}", entry.size).as_bytes());
        put(&mut header, 136, b"00000000000");
        put(&mut header, 148, b"        ");
        header[156] = entry.kind;
        put(&mut header, 157, entry.link.as_bytes());
        put(&mut header, 257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(entry.data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// All entries of a finished archive, without its end.
    pub(crate) fn append(mut self, archive: &[u8]) -> Self {
        self.0.extend(&archive[..archive.len() - 1024]);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn put(header: &mut [u8; 512], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() > length {
        length += 1;
    }
    format!("{length}{rest}")
}
