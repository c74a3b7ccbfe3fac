//! Whatever the bytes are: a manifest or an error, the same from a stream and from a file.
#![no_main]
use std::io::Cursor;
use std::num::NonZero;

use dockseal::content::archive::Source;
use dockseal::generate::{Options, manifest};

libfuzzer_sys::fuzz_target!(|data: Vec<u8>| {
    let options = Options { threads: NonZero::<usize>::MIN, ..Options::default() };
    let stream = manifest(Source::Stream(Box::new(Cursor::new(data.clone()))), &options, &());
    let file = manifest(Source::Spooled(Box::new(Cursor::new(data))), &options, &());
    if let (Ok(stream), Ok(file)) = (&stream, &file) {
        assert_eq!(stream.bytes, file.bytes);
    }
    assert!(stream.is_err() || file.is_ok());
});
