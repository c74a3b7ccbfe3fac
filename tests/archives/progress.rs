//! What is told of long work: everything that is done of it, and nothing else.

use std::sync::{Arc, Mutex};

use dockseal::content::archive::{Source, hold};
use dockseal::content::limits::Limits;
use dockseal::generate::{self, Options};
use dockseal::load::{CleanArchive, Names};
use dockseal::progress::{Progress, Step};

use crate::build::{containerd, docker, graph, oci};
use crate::load::{Memory, file, import_telling, read};
use crate::options;

/// Work that was told of.
#[derive(Clone, Debug, Default)]
struct Work {
    what: &'static str,
    steps: usize,
    bytes: u64,
    /// Name, size as far as it was known, what was done, and whether it ended.
    told: Vec<(String, Option<u64>, u64, bool)>,
}

/// Remembers it; what comes before any work is of work without a name.
#[derive(Clone, Debug)]
struct Recorder(Arc<Mutex<Vec<Work>>>);

impl Recorder {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(vec![Work::default()])))
    }

    fn works(&self) -> Vec<Work> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Recorder {
    fn begin(&self, what: &'static str, steps: usize, bytes: u64) {
        self.0.lock().unwrap().push(Work { what, steps, bytes, told: Vec::new() });
    }

    fn step(&self, name: &str, total: Option<u64>) -> Box<dyn Step> {
        let mut works = self.0.lock().unwrap();
        let work = works.len() - 1;
        works[work].told.push((name.to_owned(), total, 0, false));
        let place = (work, works[work].told.len() - 1);
        Box::new(Recorded { recorder: self.clone(), place })
    }
}

struct Recorded {
    recorder: Recorder,
    place: (usize, usize),
}

impl Step for Recorded {
    fn advance(&self, bytes: u64) {
        self.recorder.0.lock().unwrap()[self.place.0].told[self.place.1].2 += bytes;
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.recorder.0.lock().unwrap()[self.place.0].told[self.place.1].3 = true;
    }
}

/// The only work that was begun, which did what it promised; its steps' names.
fn kept(recorder: &Recorder, what: &str) -> Vec<String> {
    let works = recorder.works();
    let [before, work] = works.as_slice() else { panic!("{works:#?}") };
    assert!(before.told.is_empty(), "{before:?}");
    assert!(work.what == what && work.steps > 0, "{work:?}");
    assert_eq!(work.told.len(), work.steps, "{work:?}");
    assert_eq!(work.told.iter().map(|it| it.2).sum::<u64>(), work.bytes, "{work:?}");
    for (name, total, done, is_over) in &work.told {
        assert!(*total == Some(*done) && *is_over, "{name}: {work:?}");
    }
    work.told.iter().map(|it| it.0.clone()).collect()
}

#[test]
fn all_that_is_read_and_written_is_told() {
    for members in [docker(), graph(), containerd(), oci()] {
        let file = file(&members);
        let source = || Source::File(file.try_clone().unwrap());
        for threads in [1, 4] {
            let recorder = Recorder::new();
            let options = Options { threads: threads.try_into().unwrap(), ..options() };
            let image = generate::manifest(source(), &options, &recorder).unwrap();
            let archive = read(&file);
            // Attestations are documents, which are in memory.
            let is_document = |name: &str| archive.get(name).unwrap().document.is_some();
            let members = image.blobs.iter().map(|blob| blob.member.clone());
            let mut layers: Vec<_> = members.filter(|name| !is_document(name)).collect();
            let mut told = kept(&recorder, "layers");
            layers.sort_unstable();
            layers.dedup();
            told.sort_unstable();
            assert_eq!(told, layers);

            let recorder = Recorder::new();
            let clean = CleanArchive::of(&archive, &image, &Names::Kept).unwrap();
            clean.write_to(std::io::sink(), &recorder).unwrap();
            assert!(kept(&recorder, "blobs").len() > layers.len());

            let recorder = Recorder::new();
            import_telling(&archive, &image, &Memory::default(), &recorder).unwrap();
            assert!(kept(&recorder, "blobs").len() > layers.len());
        }
    }
}

/// How many layers a stream has is not known before its end.
#[test]
fn a_stream_tells_what_goes_by() {
    let tar = graph().tar();
    let stream = || Box::new(std::io::Cursor::new(tar.clone()));
    let told = |recorder: &Recorder| {
        let works = recorder.works();
        let [work] = works.as_slice() else { panic!("{works:#?}") };
        let over = work.told.iter().filter(|it| it.3).count();
        assert_eq!(over, work.told.len());
        work.told.clone()
    };
    let recorder = Recorder::new();
    generate::manifest(Source::Stream(stream()), &options(), &recorder).unwrap();
    let steps = told(&recorder);
    assert_eq!((&*steps[0].0, steps[0].1), ("waiting", None));
    assert!(steps.len() > 1 && steps[1..].iter().all(|it| it.1 == Some(it.2)), "{steps:?}");

    let recorder = Recorder::new();
    hold(Source::Stream(stream()), &Limits::default(), &recorder).unwrap();
    assert_eq!(told(&recorder), [("reading".to_owned(), None, tar.len() as u64, true)]);
}
