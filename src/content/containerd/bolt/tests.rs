use std::cell::Cell;
use std::io::Cursor;

use proptest::prelude::*;

use super::testing::{Item, Items, file};
use super::*;

const PAGE: usize = 1024;

fn bytes(text: &str) -> Item {
    Item::Bytes(text.as_bytes().to_vec())
}

fn items<const N: usize>(rows: [(&str, Item); N]) -> Items {
    rows.into_iter().map(|(key, item)| (key.as_bytes().to_vec(), item)).collect()
}

/// Everything in a bucket, by walking.
fn walked<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    depth: usize,
) -> Result<Items, BoltError> {
    let mut found = Items::new();
    snapshot.scan(bucket, &mut |snapshot, key, value| {
        let item = match value {
            Value::Bytes(bytes) => Item::Bytes(bytes),
            Value::Bucket(_) if depth == 0 => return Err(BoltError::Busy),
            Value::Bucket(inner) => Item::Bucket(walked(snapshot, &inner, depth - 1)?),
        };
        found.insert(key.to_vec(), item);
        Ok(())
    })?;
    Ok(found)
}

/// Everything that a walk found is found by searching, too.
fn searched<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    items: &Items,
) -> Result<(), BoltError> {
    for (key, item) in items {
        match (snapshot.get(bucket, key)?, item) {
            (Some(Value::Bytes(found)), Item::Bytes(expected)) => assert_eq!(&found, expected),
            (Some(Value::Bucket(inner)), Item::Bucket(items)) => {
                searched(snapshot, &inner, items)?;
            }
            (found, _) => panic!("{key:?}: {found:?}"),
        }
    }
    Ok(())
}

fn database(file: impl AsRef<[u8]>) -> Database<Cursor<Vec<u8>>> {
    let mut database = Database::new(Cursor::new(file.as_ref().to_vec()));
    database.pause = |_| ();
    database
}

fn all(file: impl AsRef<[u8]>) -> Result<Items, BoltError> {
    database(file).read(|snapshot| {
        let root = snapshot.root();
        let found = walked(snapshot, &root, 4)?;
        searched(snapshot, &root, &found)?;
        Ok(found)
    })
}

fn problem(file: impl AsRef<[u8]>) -> String {
    all(file).unwrap_err().to_string()
}

fn many(count: usize) -> Items {
    (0..count).map(|n| (format!("key-{n:05}").into_bytes(), bytes(&format!("value {n}")))).collect()
}

fn sample() -> Items {
    let inline = items([("a", bytes("1")), ("b", bytes(""))]);
    items([
        ("empty", Item::Bucket(Items::new())),
        ("inline", Item::Bucket(inline)),
        ("large", bytes(&"x".repeat(5 * PAGE))),
        ("nested", Item::Bucket(items([("many", Item::Bucket(many(800)))]))),
        ("v", bytes("7")),
    ])
}

#[test]
fn inline_and_paged_buckets_overflow_and_branches() {
    for page_size in [PAGE, 4096, 65536] {
        assert_eq!(all(file(&sample(), page_size)).unwrap(), sample(), "{page_size}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut database = database(file(&sample(), PAGE));
    let found = database.read(|snapshot| {
        let root = snapshot.root();
        let many = snapshot.bucket(&root, &[b"nested", b"many"])?.unwrap();
        for key in ["", "a", "key-00000x", "key-99999", "z"] {
            assert!(snapshot.get(&many, key.as_bytes())?.is_none(), "{key}");
        }
        assert!(snapshot.bucket(&root, &[b"v"])?.is_none(), "a value is no bucket");
        assert!(snapshot.bytes(&root, b"nested")?.is_none(), "a bucket is no value");
        snapshot.bytes(&many, b"key-00799")
    });
    assert_eq!(found.map_err(|e: BoltError| e.to_string()), Ok(Some(b"value 799".to_vec())));
}

/// The newest valid meta page counts; one that is half written does not.
#[test]
fn meta_pages() {
    let whole = file(&sample(), PAGE);
    for (name, damage) in [
        ("second torn", &[PAGE + HEADER + 50][..]),
        ("first torn", &[HEADER + 20]),
        ("first zeroed magic", &[HEADER]),
    ] {
        let mut file = whole.clone();
        for at in damage {
            file[*at] ^= 0xff;
        }
        assert_eq!(all(&file).unwrap(), sample(), "{name}");
    }
    let mut none = whole.clone();
    none[HEADER + 8] ^= 1;
    none[PAGE + HEADER + 48] ^= 1;
    for file in [&none[..], b"", b"SQLite format 3\0", &whole[..HEADER + 63]] {
        assert!(matches!(all(file), Err(BoltError::NoMeta)), "{} bytes", file.len());
    }
}

/// Files that a careless reader would follow out of bounds, in circles, or for ever.
#[test]
fn hostile_pages() {
    let leaves = file(&many(100), PAGE);
    let root = leaves.len() - PAGE;
    let change = |at: usize, new: &[u8]| {
        let mut file = leaves.clone();
        file[at..at + new.len()].copy_from_slice(new);
        problem(file)
    };
    let root_id = (root / PAGE) as u64;
    let child = root + HEADER + 8;
    // The first child's page is 2, its elements begin at 2 * PAGE + HEADER.
    let leaf = 2 * PAGE;
    for (what, at, new, expected) in [
        ("cycle", child, &root_id.to_le_bytes()[..], "in the tree twice"),
        ("page twice", child + 16, &2_u64.to_le_bytes(), "in the tree twice"),
        ("meta page", child, &1_u64.to_le_bytes(), "outside of the file"),
        ("page far away", child, &u64::MAX.to_le_bytes(), "outside of the file"),
        ("number", leaf, &3_u64.to_le_bytes(), "number of another page"),
        ("flags", leaf + 8, &3_u16.to_le_bytes(), "neither branch nor leaf"),
        ("freelist", leaf + 8, &16_u16.to_le_bytes(), "neither branch nor leaf"),
        ("count", leaf + 10, &u16::MAX.to_le_bytes(), "element outside"),
        ("no children", root + 10, &0_u16.to_le_bytes(), "branch without children"),
        ("overflow", leaf + 12, &u32::MAX.to_le_bytes(), "overflows the file"),
        ("kind", leaf + HEADER, &2_u32.to_le_bytes(), "unknown kind"),
        ("bucket", leaf + HEADER, &1_u32.to_le_bytes(), "malformed bucket"),
        ("position", leaf + HEADER + 4, &u32::MAX.to_le_bytes(), "element outside"),
        ("position in the elements", leaf + HEADER + 4, &0_u32.to_le_bytes(), "element outside"),
        ("key size", leaf + HEADER + 8, &u32::MAX.to_le_bytes(), "element outside"),
        ("value size", leaf + HEADER + 12, &u32::MAX.to_le_bytes(), "element outside"),
        ("order", leaf + HEADER + 8, &0_u32.to_le_bytes(), "keys that belong elsewhere"),
    ] {
        let found = change(at, new);
        assert!(found.contains(expected), "{what}: {found}");
    }
    let mut swapped = leaves.clone();
    let key = leaves.windows(9).position(|it| it == b"key-00001").unwrap();
    swapped[key + 8] = b'9';
    assert!(problem(&swapped).contains("out of order"));
}

#[test]
fn truncated_files() {
    let whole = file(&sample(), PAGE);
    for pages in 3..whole.len() / PAGE {
        assert!(problem(&whole[..pages * PAGE]).contains("behind the end"), "{pages}");
    }
}

/// A file whose meta pages change between two looks at them.
struct Changing {
    file: Cursor<Vec<u8>>,
    newer: Vec<u8>,
    looks: Cell<usize>,
}

impl Read for Changing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to == SeekFrom::End(0) {
            // Every look at the meta pages begins here: the third and later see a newer version.
            self.looks.set(self.looks.get() + 1);
            if self.looks.get() == 2 {
                self.file = Cursor::new(self.newer.clone());
            }
        }
        self.file.seek(to)
    }
}

fn with_txid(items: &Items, txid: u64) -> Vec<u8> {
    let mut file = file(items, PAGE);
    for (page, txid) in [(0, txid - 1), (1, txid)] {
        let body = page * PAGE + HEADER;
        file[body + 48..body + 56].copy_from_slice(&txid.to_le_bytes());
        let sum = page::fnv1a(&file[body..body + 56]).to_le_bytes();
        file[body + 56..body + 64].copy_from_slice(&sum);
    }
    file
}

#[test]
fn a_version_that_was_replaced_meanwhile_is_read_again() {
    let (old, newer) = (file(&many(3), PAGE), with_txid(&many(4), 8));
    let changing = Changing { file: Cursor::new(old), newer, looks: Cell::new(0) };
    let mut database = Database { source: changing, pause: |_| () };
    let mut tries = 0;
    let found = database.read(|snapshot| {
        tries += 1;
        let root = snapshot.root();
        walked(snapshot, &root, 1)
    });
    assert_eq!(found.unwrap(), many(4));
    assert_eq!(tries, 2);
}

/// A writer that is faster than the reader.
struct Restless(Changing, u64);

impl Read for Restless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Restless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to == SeekFrom::End(0) {
            self.1 += 1;
            self.0.file = Cursor::new(with_txid(&many(3), self.1));
        }
        self.0.seek(to)
    }
}

#[test]
fn a_file_that_never_rests_is_busy() {
    let file = Cursor::new(Vec::new());
    let changing = Changing { file, newer: Vec::new(), looks: Cell::new(2) };
    let mut database = Database { source: Restless(changing, 10), pause: |_| () };
    let mut tries = 0;
    let found = database.read(|_| {
        tries += 1;
        Ok::<_, BoltError>(())
    });
    assert!(matches!(found, Err(BoltError::Busy)));
    assert_eq!(tries, PAUSES.len());
}

#[test]
fn a_file_above_the_limit_is_refused() {
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nothing of it is read")
        }
    }
    impl Seek for Endless {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(MAX_FILE_BYTES + 1)
        }
    }
    let found = Database::new(Endless).read(|_| Ok::<_, BoltError>(()));
    assert!(matches!(found, Err(BoltError::TooLarge { .. })));
}

fn any_items() -> impl Strategy<Value = Items> {
    let key = || proptest::collection::vec(any::<u8>(), 0..40);
    let value = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..60),
        1 => proptest::collection::vec(any::<u8>(), 0..3000),
    ];
    let leaf = value.prop_map(Item::Bytes);
    let item = leaf.prop_recursive(3, 300, 40, move |inner| {
        proptest::collection::btree_map(key(), inner, 0..20).prop_map(Item::Bucket)
    });
    proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 0..40), item, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_written_is_read(items in any_items()) {
        prop_assert_eq!(all(file(&items, PAGE)).unwrap(), items);
    }

    /// Any damage: the same keys by walking and by searching, or an error; never a panic or a
    /// walk without end.
    #[test]
    fn damaged_files_are_read_or_refused(
        items in any_items(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = file(&items, PAGE);
        for (at, byte) in damage {
            // The meta pages have a checksum: there most damage ends the reading at once.
            let at = 2 * PAGE + at.index(file.len() - 2 * PAGE);
            file[at] = byte;
        }
        let _ = all(&file);
        file.truncate(cut.index(file.len()));
        let _ = all(&file);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let _ = all(bytes);
    }
}
