//! Envelopes of both formats: decoding never panics, and keeps the received bytes.
#![no_main]
use dockseal::signature::envelope::Envelope;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::decode_any(data) {
        assert_eq!(envelope.bytes(), data);
        let _ = envelope.unverified_content();
    }
});
