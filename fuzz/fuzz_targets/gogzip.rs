//! What is compressed decompresses to the same, and the fast encoders equal the plain one.
#![no_main]
use std::io::{Read as _, Write as _};

use dockseal::gogzip::{Generation, Options, plain};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for generation in [Generation::Go1_8, Generation::Go1_27] {
        let mut fast = Options::new(generation).writer(Vec::new());
        fast.write_all(data).expect("a vector takes all");
        let fast = fast.finish().expect("a vector takes all");
        let (mut encoder, mut gzip) = (plain::Encoder::new(generation), Vec::new());
        encoder.write(data, &mut gzip);
        encoder.finish(&mut gzip);
        assert_eq!(fast, gzip);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut back).expect("gzip");
        assert_eq!(back, data);
    }
});
