//! Clean archives: what is written is what was verified, or it is no archive.

use std::io::{Seek as _, SeekFrom, Write as _};

use dockseal::content::archive::{Archive, Jobs, NoEncoders, Source, Work, hold};
use dockseal::content::limits::Limits;
use dockseal::generate;
use dockseal::load::{CleanArchive, LoadError, Names};

use crate::build::{Members, containerd, docker, graph, oci};
use crate::options;

fn read(file: &std::fs::File) -> Archive {
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

fn file(members: &Members) -> std::fs::File {
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

fn clean(archive: &Archive, image: &generate::Generated) -> Result<Vec<u8>, (LoadError, Vec<u8>)> {
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
        let held = hold(stream, &Limits::default()).unwrap();
        assert_eq!(held.metadata().unwrap().len(), tar.len() as u64);
        let again = Source::File(held.try_clone().unwrap());
        generate::manifest(again, &options(), &()).unwrap();
        let again = Source::File(held);
        generate::manifest(again, &options(), &()).unwrap();
    }
}
