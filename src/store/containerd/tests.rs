use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;

use super::*;
use crate::content::containerd::{BlobInfo, ImportError, NewContent};
use crate::image::digest::Algorithm;

type Blobs = BTreeMap<Digest, (Vec<u8>, Labels)>;

/// A containerd in memory, which collects as containerd does: what no record leads to is gone.
#[derive(Default)]
struct Memory {
    blobs: RefCell<BTreeMap<Namespace, Blobs>>,
    images: RefCell<BTreeMap<(Namespace, String), Descriptor>>,
    is_read_only: bool,
}

impl Memory {
    fn blob(&self, namespace: &Namespace, bytes: &[u8], labels: Labels) -> Digest {
        let digest = Digest::sha256(bytes);
        let mut blobs = self.blobs.borrow_mut();
        blobs
            .entry(namespace.clone())
            .or_default()
            .insert(digest.clone(), (bytes.to_vec(), labels));
        digest
    }

    fn relabel(&self, digest: &Digest, change: impl Fn(&mut Labels)) {
        for blobs in self.blobs.borrow_mut().values_mut() {
            if let Some((_, labels)) = blobs.get_mut(digest) {
                change(labels);
            }
        }
    }

    fn alter(&self, digest: &Digest) {
        for blobs in self.blobs.borrow_mut().values_mut() {
            if let Some((bytes, _)) = blobs.get_mut(digest) {
                bytes[5] ^= 1;
            }
        }
    }

    fn collect(&self) {
        for (namespace, blobs) in &mut *self.blobs.borrow_mut() {
            let images = self.images.borrow();
            let records = images.iter().filter(|((it, _), _)| it == namespace);
            let mut pending: Vec<_> = records.map(|(_, target)| target.digest.clone()).collect();
            let mut live = HashSet::new();
            while let Some(digest) = pending.pop() {
                let Some((_, labels)) = blobs.get(&digest) else { continue };
                if live.insert(digest) {
                    let leading =
                        labels.iter().filter(|(key, _)| key.starts_with("containerd.io/gc.ref."));
                    pending.extend(leading.map(|(_, value)| value.parse::<Digest>().unwrap()));
                }
            }
            blobs.retain(|digest, _| live.contains(digest));
        }
    }
}

impl ContentStore for Memory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn namespaces(&self) -> Result<Vec<Namespace>, ContainerdError> {
        Ok(self.blobs.borrow().keys().cloned().collect())
    }

    fn image(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        Ok(self.images(namespace)?.into_iter().find(|it| it.name == name))
    }

    fn images(&self, namespace: &Namespace) -> Result<Vec<ImageRecord>, ContainerdError> {
        let images = self.images.borrow();
        let here = images.iter().filter(|((it, _), _)| it == namespace);
        let record = |((_, name), target): (&(Namespace, String), &Descriptor)| ImageRecord {
            name: name.clone(),
            target: target.clone(),
            labels: Labels::new(),
        };
        Ok(here.map(record).collect())
    }

    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, ContainerdError> {
        let blobs = self.blobs(namespace)?;
        Ok(blobs.into_iter().find(|(it, _)| it == digest).map(|(_, info)| info))
    }

    fn open<'a>(
        &'a self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + 'a>>, ContainerdError> {
        let blobs = self.blobs.borrow();
        let bytes = blobs.get(namespace).and_then(|it| it.get(digest)).map(|(it, _)| it.clone());
        Ok(bytes.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read>))
    }

    fn blobs(&self, namespace: &Namespace) -> Result<Vec<(Digest, BlobInfo)>, ContainerdError> {
        let blobs = self.blobs.borrow();
        let info = |(digest, (bytes, labels)): (&Digest, &(Vec<u8>, Labels))| {
            (digest.clone(), BlobInfo { size: bytes.len() as u64, labels: labels.clone() })
        };
        Ok(blobs.get(namespace).into_iter().flatten().map(info).collect())
    }

    fn writer(&self) -> Option<&dyn ContentWriter> {
        (!self.is_read_only).then_some(self)
    }
}

impl ContentWriter for Memory {
    fn import(
        &self,
        _: &Namespace,
        _: &[NewContent<'_>],
        _: &[ImageRecord],
        _: &str,
    ) -> Result<(), ImportError> {
        unreachable!("signatures are added")
    }

    fn add(&self, namespace: &Namespace, addition: &Addition<'_>) -> Result<(), ContainerdError> {
        for blob in &addition.blobs {
            self.blob(namespace, blob.bytes, blob.labels.clone());
        }
        self.label(namespace, addition.anchor.0, &addition.anchor.1)?;
        let images = addition.image.iter();
        let records = images.map(|it| ((namespace.clone(), it.name.clone()), it.target.clone()));
        self.images.borrow_mut().extend(records);
        Ok(())
    }

    fn label(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Labels,
    ) -> Result<(), ContainerdError> {
        let mut blobs = self.blobs.borrow_mut();
        let (_, own) = blobs.get_mut(namespace).unwrap().get_mut(digest).unwrap();
        own.extend(labels.clone());
        own.retain(|_, value| !value.is_empty());
        Ok(())
    }

    fn remove_image(&self, namespace: &Namespace, name: &str) -> Result<(), ContainerdError> {
        self.images.borrow_mut().remove(&(namespace.clone(), name.to_owned()));
        Ok(())
    }

    fn remove_content(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<(), ContainerdError> {
        self.blobs.borrow_mut().get_mut(namespace).unwrap().remove(digest);
        Ok(())
    }
}

fn namespaces() -> Vec<Namespace> {
    ["default", "k8s.io"].map(|it| it.parse().unwrap()).into()
}

/// An image of one name in both namespaces.
fn containerd() -> (Rc<Memory>, Descriptor) {
    let memory = Memory::default();
    let image = br#"{"schemaVersion":2,"layers":[]}"#;
    let subject = Descriptor::of(media_type::OCI_MANIFEST, Algorithm::Sha256, image);
    for namespace in namespaces() {
        memory.blob(&namespace, image, Labels::new());
        memory.images.borrow_mut().insert((namespace, "x/app:1".to_owned()), subject.clone());
    }
    (Rc::new(memory), subject)
}

fn signatures(memory: &Rc<Memory>) -> ContainerdSignatures {
    ContainerdSignatures::new(memory.clone(), namespaces(), "2026-11-26T03:00:00Z".to_owned())
}

fn envelope(bytes: &[u8]) -> NewSignature {
    NewSignature {
        bytes: bytes.to_vec(),
        media_type: "application/cose",
        annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
    }
}

#[test]
fn kept_with_the_image_and_gone_with_it() {
    for form in [SignatureManifest::Legacy, SignatureManifest::Oci11] {
        let (memory, subject) = containerd();
        let store = signatures(&memory).writing(form);
        assert_eq!(store.list(&subject).unwrap(), []);
        for bytes in [b"one", b"two"] {
            let added = store.add(&subject, &envelope(bytes)).unwrap();
            assert_eq!(added.digest, Digest::sha256(bytes));
        }
        memory.collect();
        let listed = store.list(&subject).unwrap();
        assert_eq!(listed.len(), 2, "each once, though in two namespaces: {listed:?}");
        let mut read: Vec<_> = listed.iter().map(|it| store.read(it).unwrap()).collect();
        read.sort();
        assert_eq!(read, [b"one", b"two"]);
        assert_eq!(listed[0].annotations.get("a").unwrap(), "b");
        store.remove(&listed[0]).unwrap();
        assert_eq!(store.list(&subject).unwrap(), listed[1..]);
        assert!(store.remove(&listed[0]).is_err());
        memory.images.borrow_mut().clear();
        memory.collect();
        assert!(memory.blobs.borrow().values().all(BTreeMap::is_empty));
    }
}

/// `ctr content prune references` takes labels called `l.`, and whatever starts so.
#[test]
fn labels_that_nobody_prunes() {
    let (memory, subject) = containerd();
    signatures(&memory).add(&subject, &envelope(b"one")).unwrap();
    let blobs = memory.blobs.borrow();
    let keys: Vec<&String> =
        blobs.values().flat_map(|it| it.values()).flat_map(|it| it.1.keys()).collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
    for part in ["content.l.", "content.m."] {
        assert!(!keys.iter().any(|key| key.contains(part)), "{keys:?}");
    }
}

#[test]
fn found_without_labels() {
    let (memory, subject) = containerd();
    let store = signatures(&memory).recording("x/app".to_owned());
    store.add(&subject, &envelope(b"one")).unwrap();
    let expected = store.list(&subject).unwrap();
    memory.relabel(&subject.digest, Labels::clear);
    memory.collect();
    assert_eq!(store.list(&subject).unwrap(), expected, "the record leads to it");
    let tag = format!("x/app:sha256-{}.sig", subject.digest.hex());
    let records: Vec<_> = memory
        .images
        .borrow()
        .iter()
        .filter(|it| it.0.1.contains('@'))
        .map(|(it, d)| (it.clone(), d.clone()))
        .collect();
    for ((namespace, name), target) in records {
        memory.remove_image(&namespace, &name).unwrap();
        memory.images.borrow_mut().insert((namespace, tag.clone()), target);
    }
    assert_eq!(store.list(&subject).unwrap(), expected, "so does cosign's name");
    memory.images.borrow_mut().retain(|(_, name), _| *name != tag);
    assert_eq!(store.list(&subject).unwrap(), expected, "it is among all content");
    memory.collect();
    assert_eq!(store.list(&subject).unwrap(), []);
}

#[test]
fn altered_ones_are_told_and_hide_no_others() {
    let (memory, subject) = containerd();
    let store = signatures(&memory);
    store.add(&subject, &envelope(b"one")).unwrap();
    let manifest = store.list(&subject).unwrap()[0].manifest.clone().unwrap();
    memory.alter(&manifest);
    let listed = store.list(&subject).unwrap();
    assert!(listed[0].defect.as_ref().unwrap().contains("does not match"), "{listed:?}");
    assert!(matches!(store.read(&listed[0]), Err(StoreError::Defective { .. })));
    memory.alter(&manifest);
    store.add(&subject, &envelope(b"the other")).unwrap();
    let envelope = Digest::sha256(b"the other");
    memory.alter(&envelope);
    let (good, bad): (Vec<_>, Vec<_>) =
        store.list(&subject).unwrap().into_iter().partition(|it| store.read(it).is_ok());
    assert_eq!((good.len(), bad.len()), (1, 1));
    assert_eq!(bad[0].digest, Some(envelope));
}

/// Names and labels are hints: what is not a signature of this image is none.
#[test]
fn signatures_of_other_images_are_not_found() {
    let (memory, subject) = containerd();
    let store = signatures(&memory);
    let other = Descriptor::new(subject.media_type.clone(), subject.digest.clone(), 7);
    store.add(&other, &envelope(b"one")).unwrap();
    assert_eq!(store.list(&subject).unwrap(), [], "another size");
    let missing = Labels::from([(
        "containerd.io/gc.ref.content.x".to_owned(),
        Digest::sha256(b"x").to_string(),
    )]);
    memory.label(&namespaces()[0], &subject.digest, &missing).unwrap();
    assert_eq!(store.list(&subject).unwrap(), [], "a referrer that was not fetched");
}

#[test]
fn a_place_that_is_only_read_says_so() {
    let (memory, subject) = containerd();
    let mut memory = Rc::into_inner(memory).unwrap();
    memory.is_read_only = true;
    let store = signatures(&Rc::new(memory));
    for error in
        [store.check_writable().unwrap_err(), store.add(&subject, &envelope(b"one")).unwrap_err()]
    {
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    }
}

#[test]
fn labels_that_lead_on() {
    let digest = Digest::sha256(b"").to_string();
    for (name, leads) in [
        ("referrer.sha256.0123456789ab", true),
        ("notary.0", true),
        ("config", false),
        ("0", false),
        ("l.12", false),
        ("m.1", false),
        ("l.x", true),
    ] {
        assert_eq!(leads_on(&format!("{REFERENCE}{name}"), &digest).is_some(), leads, "{name}");
    }
    assert!(leads_on("containerd.io/gc.ref.content.x", "md5:0").is_none());
    assert!(leads_on("containerd.io/gc.ref.snapshot.x", &digest).is_none());
}
