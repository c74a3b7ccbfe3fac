//! Any file is a database whose walk and search agree, or an error; no walk goes on for ever.
#![no_main]
use std::io::Cursor;

use dockseal::content::containerd::bolt::{BoltError, Bucket, Database, Snapshot, Value};

type Reader<'a> = Cursor<&'a [u8]>;

fn walk(snapshot: &mut Snapshot<'_, Reader<'_>>, bucket: &Bucket, depth: u8) -> Result<(), BoltError> {
    snapshot.scan(bucket, &mut |snapshot, key, value| {
        let found = snapshot.get(bucket, key)?.expect("what is walked is found");
        match (value, found) {
            (Value::Bytes(walked), Value::Bytes(found)) => assert_eq!(walked, found),
            (Value::Bucket(inner), Value::Bucket(_)) if depth > 0 => walk(snapshot, &inner, depth - 1)?,
            (Value::Bucket(_), Value::Bucket(_)) => {}
            _ => panic!("a value or a bucket, not both"),
        }
        Ok(())
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Database::new(Cursor::new(data)).read(|snapshot| {
        let root = snapshot.root();
        walk(snapshot, &root, 2)
    });
});
