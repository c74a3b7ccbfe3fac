//! Tests of [`super::archive`]: the layouts of the reference as tars, and archives of engines.

use std::io::Read as _;
use std::sync::Barrier;

use super::tests::{copy, data, envelope, tag};
use super::*;
use crate::content::archive::ArchiveError;
use crate::fsutil;
use crate::image::digest::Algorithm;
use crate::image::media_type;
use crate::store::StoreError;

/// A file of a reference layout's members and others that nobody knows.
struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn of(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fsutil::write_atomic(&directory.path().join("a.tar"), bytes, fsutil::Mode::Public).unwrap();
        Self { directory }
    }

    /// A reference layout as a tar, with something unknown in front, in the middle and at the end.
    fn layout(name: &str) -> Self {
        let from = copy(name);
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o604);
            header.set_mtime(17);
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        add("README", b"first");
        add("index.json", &fsutil::read_bounded(&data(name).join("index.json"), 1 << 20).unwrap());
        add(&format!("x/{}", "long".repeat(40)), &[7; 700]);
        for blob in fs::read_dir(from.path().join("blobs/sha256")).unwrap().map(Result::unwrap) {
            let bytes = fsutil::read_bounded(&blob.path(), 1 << 20).unwrap();
            add(&format!("blobs/sha256/{}", blob.file_name().to_str().unwrap()), &bytes);
        }
        add("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#);
        add("last", b"");
        Self::of(&tar.into_inner().unwrap())
    }

    fn case(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(name);
        Self::of(&fsutil::read_bounded(&root.join("image.tar"), 1 << 30).unwrap())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("a.tar")
    }

    fn bytes(&self) -> Vec<u8> {
        fsutil::read_bounded(&self.path(), 1 << 30).unwrap()
    }

    fn open(&self) -> OciLayout {
        OciLayout::at(&self.path(), Limits::default()).unwrap()
    }

    /// Names and contents of all members, in order.
    fn members(&self) -> Vec<(String, Vec<u8>)> {
        let bytes = self.bytes();
        let mut tar = tar::Archive::new(&*bytes);
        let files = tar.entries().unwrap().map(Result::unwrap);
        let read = |mut entry: tar::Entry<'_, &[u8]>| {
            let mut content = entry.header().as_bytes().to_vec();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), content)
        };
        files.map(read).collect()
    }
}

fn pushed(case: &str) -> (Vec<u8>, Descriptor) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(case);
    let bytes = fsutil::read_bounded(&path.join("pushed-manifest.json"), 1 << 20).unwrap();
    let descriptor = RawManifest::parse(bytes.clone(), None).unwrap().descriptor;
    (bytes, descriptor)
}

fn carried(manifest: &[u8]) -> [CarriedManifest; 1] {
    [CarriedManifest { bytes: manifest.into(), below: Vec::new() }]
}

#[test]
fn a_tar_holds_what_its_directory_holds() {
    for name in ["lay", "lay0", "lay1"] {
        let (file, directory) = (File::layout(name), copy(name));
        let (open, other) = (file.open(), OciLayout::open(directory.path()).unwrap());
        let found = open.resolve(&tag("v1")).unwrap();
        assert_eq!(found.bytes, other.resolve(&tag("v1")).unwrap().bytes);
        let [listed, expected] =
            [&open, &other].map(|layout| layout.list(&found.descriptor).unwrap());
        assert_eq!(listed.len(), expected.len());
        for (one, two) in listed.iter().zip(&expected) {
            assert_eq!(one.manifest, two.manifest);
            assert_eq!(open.read(one).unwrap(), other.read(two).unwrap());
        }
    }
}

#[test]
fn a_signature_is_added_and_removed_and_all_else_stays() {
    let file = File::layout("lay1");
    let before = file.members();
    let target = file.open().resolve(&tag("v1")).unwrap().descriptor;
    file.open().add(&target, &envelope(b"one")).unwrap();
    let open = file.open();
    let listed = open.list(&target).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(open.read(&listed[1]).unwrap(), b"one");
    // notation's own members and the ones nobody knows, header for header.
    let after = file.members();
    let kept: Vec<_> = before.iter().filter(|(name, _)| name != "index.json").cloned().collect();
    assert_eq!(after[..kept.len()], kept);
    // The entry tells engines that it is no image; those that were there are as they were.
    let index = String::from_utf8(open.files.read("index.json", 1 << 20).unwrap()).unwrap();
    let old = fsutil::read_bounded(&data("lay1/index.json"), 1 << 20).unwrap();
    assert!(index.as_bytes().starts_with(&old[..old.len() - 2]));
    let subject = format!("\"{}\":\"{}\"", "io.containerd.manifest.subject", target.digest);
    assert!(index.contains(&subject), "{index}");
    assert!(index.ends_with(r#""artifactType":"application/vnd.cncf.notary.signature"}]}"#));
    // The same signature once more costs no blob.
    open.add(&target, &envelope(b"one")).unwrap();
    assert_eq!(file.members().len(), after.len());
    file.open().remove(&listed[1]).unwrap();
    let index = file.open().files.read("index.json", 1 << 20).unwrap();
    assert_eq!(index, old);
    let gone = file.open().remove(&listed[1]).unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
}

#[test]
fn twenty_concurrent_writers_leave_twenty_signatures() {
    const WRITERS: usize = 20;
    let file = File::layout("lay0");
    let target = file.open().resolve(&tag("v1")).unwrap().descriptor;
    let barrier = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (barrier, target, file) = (&barrier, &target, &file);
            scope.spawn(move || {
                let open = file.open();
                barrier.wait();
                open.add(target, &envelope(format!("envelope {writer}").as_bytes())).unwrap();
            });
        }
    });
    assert_eq!(file.open().list(&target).unwrap().len(), WRITERS);
    let left = fs::read_dir(file.directory.path()).unwrap().count();
    assert_eq!(left, 1, "no lock, no temporary file");
}

/// What no engine's archive holds is carried along, in a layout that stands for itself.
#[test]
fn what_the_archive_does_not_hold_is_carried_along() {
    for case in ["graph-20.10-dup", "graph-26.1-dup", "other-podman5-docker-archive"] {
        let file = File::case(case);
        let before = file.members();
        let (manifest, target) = pushed("graph-20.10-dup");
        let error = file.open().add(&target, &envelope(b"one")).unwrap_err();
        assert!(error.to_string().contains("does not hold the manifest"), "{error}");
        assert_eq!(file.members(), before);
        let config = b"{\"the\":\"config\"}".to_vec();
        let open = file.open().carrying([manifest.clone(), config.clone()], []).unwrap();
        open.add(&target, &envelope(b"one")).unwrap();
        let grown = file.bytes().len() - before.iter().map(|(_, it)| it.len()).sum::<usize>();
        assert!(grown < 16 << 10, "{case}: {grown}");
        file.open().add(&target, &envelope(b"two")).unwrap();
        assert_eq!(file.members()[..before.len()], before, "{case}");
        let open = file.open();
        let listed = open.list(&target).unwrap();
        let read: Vec<_> = listed.iter().map(|each| open.read(each).unwrap()).collect();
        assert_eq!(read, [b"one", b"two"]);
        assert_eq!(open.carried_manifests().unwrap(), carried(&manifest));
        let named = LayoutTarget::Digest(target.digest.clone());
        assert_eq!(open.resolve(&named).unwrap().bytes, manifest);
        // Unpacked, it is a layout like any.
        let unpacked = tempfile::tempdir().unwrap();
        tar::Archive::new(&*file.bytes()).unpack(unpacked.path()).unwrap();
        let layout = OciLayout::open(&unpacked.path().join("signatures")).unwrap();
        assert_eq!(layout.resolve(&named).unwrap().bytes, manifest);
        assert_eq!(layout.list(&target).unwrap().len(), 2);
        assert_eq!(
            layout.blob(&Descriptor::of("c", Algorithm::Sha256, &config), 99).unwrap(),
            config
        );
    }
}

/// The manifest of an archive with a layout is signed in that, one of another push beside it.
#[test]
fn each_manifest_has_its_signatures_where_it_is() {
    let file = File::case("containerd-28-dup");
    let (_, stored) = pushed("containerd-28-dup");
    let (manifest, other) = pushed("graph-28.5-go1.27-dup");
    file.open().add(&stored, &envelope(b"one")).unwrap();
    let other_layout = file.open().carrying([manifest.clone()], ["manifest.json"]).unwrap();
    other_layout.add(&other, &envelope(b"two")).unwrap();
    let open = file.open();
    assert_eq!(open.list(&stored).unwrap().len(), 1);
    assert_eq!(open.list(&other).unwrap().len(), 1);
    assert_eq!(open.carried_manifests().unwrap(), carried(&manifest));
    assert_eq!(open.entries_of("").unwrap().len(), 2);
    assert_eq!(open.entries_of("signatures/").unwrap().len(), 2);
}

#[test]
fn s3_every_blob_that_is_carried_is_hashed() {
    let file = File::case("graph-20.10-dup");
    let (manifest, target) = pushed("graph-20.10-dup");
    let open = file.open().carrying([manifest], []).unwrap();
    open.add(&target, &envelope(b"one")).unwrap();
    let named = LayoutTarget::Digest(target.digest.clone());
    for (what, at) in [("the manifest", "\"schemaVersion\": 2"), ("the envelope", "one\0\0\0")] {
        let mut bytes = file.bytes();
        let at = bytes.windows(at.len()).position(|it| it == at.as_bytes()).unwrap();
        bytes[at] ^= 1;
        let bad = File::of(&bytes).open();
        let result = match what {
            "the manifest" => bad.carried_manifests().map(|_| ()).map_err(StoreError::from),
            _ => bad.read(&bad.list(&target).unwrap()[0]).map(|_| ()),
        };
        let error = result.unwrap_err();
        let altered = matches!(error, StoreError::Layout(LayoutError::Altered { .. }));
        assert!(altered, "{what}: {error}");
        assert_eq!(bad.resolve(&named).is_ok(), what != "the manifest");
    }
}

#[test]
fn compressed_archives_are_read_only() {
    let file = File::layout("lay");
    let target = file.open().resolve(&tag("v1")).unwrap().descriptor;
    let listed = file.open().list(&target).unwrap();
    assert_eq!(listed.len(), 2);
    let compressed = File::of(&zstd::encode_all(&*file.bytes(), 1).unwrap());
    let open = compressed.open();
    for (one, two) in open.list(&target).unwrap().iter().zip(&listed) {
        // One of them is JSON, the other is not.
        assert_eq!(open.read(one).unwrap(), file.open().read(two).unwrap());
    }
    let before = compressed.bytes();
    match open.add(&target, &envelope(b"x")).unwrap_err() {
        StoreError::Layout(LayoutError::Archive { source, .. }) => {
            assert!(matches!(*source, ArchiveError::Compressed), "{source}");
            assert!(source.hint().unwrap().contains("unzstd"));
        }
        error => panic!("{error}"),
    }
    assert_eq!(compressed.bytes(), before);
}

#[test]
fn what_is_no_image_archive_is_no_layout() {
    let empty = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let mut other = tar::Builder::new(Vec::new());
    other.append_data(&mut tar::Header::new_gnu(), "index.json", &b""[..]).unwrap();
    for bytes in [b"".to_vec(), b"text".to_vec(), empty, other.into_inner().unwrap()] {
        assert!(OciLayout::at(&File::of(&bytes).path(), Limits::default()).is_err());
    }
    let missing = OciLayout::at(Path::new("/nonexistent"), Limits::default()).unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[test]
fn the_index_below_which_something_is_counts_as_holding_it() {
    let file = File::case("containerd-28-multi-index");
    let entries = file.open().entries_of("").unwrap();
    let child = file.open().below(&entries[0]).unwrap();
    let (child, _) =
        child.iter().find(|(it, here)| *here && media_type::is_manifest(&it.media_type)).unwrap();
    file.open().add(child, &envelope(b"child")).unwrap();
    assert_eq!(file.open().list(child).unwrap().len(), 1);
    assert_eq!(file.open().carried_manifests().unwrap(), []);
}

/// Twenty indexes that are carried along, and list the same three documents.
#[test]
fn s11_what_is_carried_along_counts_as_often_as_it_is_listed() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("signatures/{name}"), bytes).unwrap();
    };
    let mut describe = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, Algorithm::Sha256, bytes);
        add(&blob_name(&descriptor.digest), bytes);
        serde_json::to_string(&descriptor).unwrap()
    };
    let index = |n: usize, children: &[String]| {
        let (media_type, children) = (media_type::OCI_INDEX, children.join(","));
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{children}],"annotations":{{"n":"{n}"}}}}"#
        )
    };
    let manifest = |n: usize| format!("{{\"n\":{n}}}{}", " ".repeat(10_000));
    let below: Vec<_> =
        (0..3).map(|n| describe(media_type::OCI_MANIFEST, manifest(n).as_bytes())).collect();
    let indexes: Vec<_> =
        (0..20).map(|n| describe(media_type::OCI_INDEX, index(n, &below).as_bytes())).collect();
    add("index.json", index(0, &indexes).as_bytes());
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let file = File::of(&tar.into_inner().unwrap());
    let read = |limits| OciLayout::at(&file.path(), limits).unwrap().carried_manifests();
    let carried = read(Limits::default()).unwrap();
    assert_eq!(carried.iter().map(|it| it.below.len()).collect::<Vec<_>>(), [3; 20]);
    assert!(Arc::ptr_eq(&carried[0].below[0], &carried[19].below[0]), "one copy");

    let error = read(Limits { document_bytes: 100_000, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, LayoutError::TooManyBytes { limit: 100_000 }), "{error}");
    read(Limits { listed_documents: 80, ..Limits::default() }).unwrap();
    let error = read(Limits { listed_documents: 79, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, LayoutError::TooManyManifests { limit: 79 }), "{error}");
}
