//! Clean archives: what is written is what was verified, or it is no archive.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek as _, SeekFrom, Write as _};

use dockseal::content::archive::{Archive, Jobs, NoEncoders, Source, Work, hold};
use dockseal::content::containerd::{
    Addition, ContainerdError, ContentWriter, ImageRecord, ImportError, Labels, Namespace,
    NewContent,
};
use dockseal::content::limits::Limits;
use dockseal::generate::{self, Generated, GivenManifest, Options, Origin};
use dockseal::gogzip::Generation;
use dockseal::image::digest::Digest;
use dockseal::load::{CleanArchive, Destination, LoadError, Names, into_containerd};
use dockseal::progress::Progress;

use crate::build::{Members, containerd, docker, graph, oci};
use crate::options;

pub(crate) fn read(file: &std::fs::File) -> Archive {
    let source = Source::File(file.try_clone().unwrap());
    let jobs = Jobs {
        work: Work::Hash,
        encoders: &NoEncoders,
        threads: std::num::NonZero::<usize>::MIN,
        memo: None,
        progress: &(),
    };
    Archive::read(source, &jobs, Limits::default()).unwrap()
}

pub(crate) fn file(members: &Members) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&members.tar()).unwrap();
    file
}

/// Any byte of any blob that changes after it was verified stops the writing, before what makes the
/// archive an image is written.
#[test]
fn a_change_after_the_verification_is_found() {
    for members in [docker(), graph(), containerd(), oci()] {
        let tar = members.tar();
        let mut changes = 0;
        // A stride that is prime to 512 meets members and headers alike.
        for at in (0..tar.len() as u64).step_by(97) {
            let mut file = file(&members);
            let source = Source::File(file.try_clone().unwrap());
            let image = generate::manifest(source, &options(), &()).unwrap();
            let archive = read(&file);
            let expected = clean(&archive, &image).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[tar[usize::try_from(at).unwrap()] ^ 1]).unwrap();
            // Headers were read before; documents are kept.
            match clean(&archive, &image) {
                Ok(bytes) => assert!(bytes == expected, "byte {at}"),
                Err((LoadError::Changed(_), bytes)) => {
                    changes += 1;
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(!text.contains("manifest.json") && !text.contains("index.json"));
                }
                Err((error, _)) => panic!("byte {at}: {error}"),
            }
        }
        assert!(changes > 0);
    }
}

fn clean(archive: &Archive, image: &Generated) -> Result<Vec<u8>, (LoadError, Vec<u8>)> {
    let mut bytes = Vec::new();
    let result = CleanArchive::of(archive, image, &Names::Kept)
        .and_then(|clean| clean.write_to(&mut bytes, &()));
    match result {
        Ok(()) => Ok(bytes),
        Err(error) => Err((error, bytes)),
    }
}

#[test]
fn a_held_archive_is_plain() {
    let tar = graph().tar();
    let compressed = crate::build::gzip(&tar);
    for bytes in [&tar, &compressed] {
        let stream = Source::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
        let held = hold(stream, &Limits::default(), &()).unwrap();
        assert_eq!(held.metadata().unwrap().len(), tar.len() as u64);
        let again = Source::File(held.try_clone().unwrap());
        generate::manifest(again, &options(), &()).unwrap();
        let again = Source::File(held);
        generate::manifest(again, &options(), &()).unwrap();
    }
}

/// A store that takes content as containerd does: by its digest, or not at all.
#[derive(Default)]
pub(crate) struct Memory {
    content: RefCell<BTreeMap<String, Vec<u8>>>,
    labels: RefCell<BTreeMap<String, Labels>>,
    records: RefCell<Vec<(String, String)>>,
}

impl ContentWriter for Memory {
    fn import(
        &self,
        _: &Namespace,
        content: &[NewContent<'_>],
        records: &[ImageRecord],
        _: &str,
    ) -> Result<(), ImportError> {
        for each in content {
            let mut bytes = Vec::new();
            (each.fill)(&mut bytes).map_err(ImportError::Content)?;
            if Digest::sha256(&bytes) != *each.digest || bytes.len() as u64 != each.size {
                return Err(ImportError::Content(std::io::Error::other("another digest")));
            }
            self.content.borrow_mut().insert(each.digest.to_string(), bytes);
            self.labels.borrow_mut().insert(each.digest.to_string(), each.labels.clone());
        }
        let named = records.iter().map(|it| (it.name.clone(), it.target.digest.to_string()));
        self.records.borrow_mut().extend(named);
        Ok(())
    }

    fn add(&self, _: &Namespace, _: &Addition<'_>) -> Result<(), ContainerdError> {
        unreachable!("images are imported")
    }

    fn label(&self, _: &Namespace, _: &Digest, _: &Labels) -> Result<(), ContainerdError> {
        unreachable!("images are imported")
    }

    fn remove_image(&self, _: &Namespace, _: &str) -> Result<(), ContainerdError> {
        unreachable!("images are imported")
    }

    fn remove_content(&self, _: &Namespace, _: &Digest) -> Result<(), ContainerdError> {
        unreachable!("images are imported")
    }
}

fn import(archive: &Archive, image: &Generated, store: &Memory) -> Result<(), LoadError> {
    import_telling(archive, image, store, &())
}

pub(crate) fn import_telling(
    archive: &Archive,
    image: &Generated,
    store: &Memory,
    progress: &dyn Progress,
) -> Result<(), LoadError> {
    let destination = Destination {
        writer: store,
        namespace: &"default".parse().unwrap(),
        names: &["docker.io/lab/x:1".to_owned()],
        lease_until: "2030-01-01T00:00:00Z",
        threads: std::num::NonZero::<usize>::MIN,
        progress,
    };
    into_containerd(archive, image, &destination)
}

/// What a store has afterwards is the signed manifest and all that it names, tied together for the
/// collector; of an archive without compressed layers too.
#[test]
fn a_store_gets_the_signed_manifest_and_what_it_names() {
    for members in [docker(), graph(), containerd(), oci()] {
        let file = file(&members);
        let source = Source::File(file.try_clone().unwrap());
        let image = generate::manifest(source, &options(), &()).unwrap();
        assert_whole(&read(&file), &image);
    }
}

/// The same where an archive carries the manifest, which does not say what compressed the layers.
#[test]
fn a_carried_manifest_is_enough_if_an_engine_compressed_the_layers() {
    for generation in [Generation::Go1_8, Generation::Go1_27] {
        for members in [docker(), graph()] {
            let file = file(&members);
            let source = || Source::File(file.try_clone().unwrap());
            let options = Options { generation: Some(generation), ..options() };
            let pushed = generate::manifest(source(), &options, &()).unwrap();
            let given = GivenManifest::new(pushed.bytes.clone(), []).unwrap();
            let image = generate::against(source(), &given, &self::options(), &()).unwrap();
            assert_eq!(image.origin, Origin::Given);
            assert_whole(&read(&file), &image);
        }
    }
    // Somebody else's compressor made the layers that this one names.
    let file = file(&graph());
    let named = crate::given::manifest().to_string().into_bytes();
    let given = GivenManifest::new(named, []).unwrap();
    let source = Source::File(file.try_clone().unwrap());
    let image = generate::against(source, &given, &options(), &()).unwrap();
    let store = Memory::default();
    let error = import(&read(&file), &image, &store).unwrap_err();
    assert!(matches!(error, LoadError::OtherForm { .. }), "{error}");
    assert!(store.records.borrow().is_empty());
}

/// Everything can be reached from the record by labels, and is there.
#[track_caller]
fn assert_whole(archive: &Archive, image: &Generated) {
    let store = Memory::default();
    import(archive, image, &store).unwrap();
    let target = image.descriptor.digest.to_string();
    assert_eq!(*store.records.borrow(), [("docker.io/lab/x:1".to_owned(), target.clone())]);
    let (labels, content) = (store.labels.borrow(), store.content.borrow());
    let mut pending = vec![target];
    let mut reached = BTreeSet::new();
    while let Some(digest) = pending.pop() {
        assert!(content.contains_key(&digest), "{digest} is missing");
        pending.extend(labels[&digest].values().cloned());
        reached.insert(digest);
    }
    assert!(reached.len() >= 3 && reached.len() == content.len(), "{reached:?}");
}

/// As for clean archives: whatever changes after the verification never becomes an image.
#[test]
fn s14_a_change_after_the_verification_reaches_no_record() {
    for members in [docker(), graph(), containerd(), oci()] {
        let tar = members.tar();
        let mut refused = 0;
        for at in (0..tar.len() as u64).step_by(97) {
            let mut file = file(&members);
            let source = Source::File(file.try_clone().unwrap());
            let image = generate::manifest(source, &options(), &()).unwrap();
            let archive = read(&file);
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[tar[usize::try_from(at).unwrap()] ^ 1]).unwrap();
            let store = Memory::default();
            if import(&archive, &image, &store).is_err() {
                refused += 1;
                assert!(store.records.borrow().is_empty(), "byte {at}");
            }
        }
        assert!(refused > 0);
    }
}
