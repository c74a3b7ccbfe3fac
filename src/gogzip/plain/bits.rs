//! The bit stream of RFC 1951 section 3.1.1: fields enter at the least significant bit.

/// Collects bits; whole bytes can be taken at any time.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    open: u64,
    open_bits: u32,
}

impl Bits {
    /// Appends the low `count` (at most 32) bits of `value`, least significant bit first.
    pub(super) fn field(&mut self, value: u32, count: u8) {
        self.open |= u64::from(value) << self.open_bits;
        self.open_bits += u32::from(count);
        while self.open_bits >= 8 {
            self.bytes.push((self.open & 255) as u8);
            self.open >>= 8;
            self.open_bits -= 8;
        }
    }

    /// Zero bits to the next byte border.
    pub(super) fn pad(&mut self) {
        if self.open_bits > 0 {
            self.field(0, (8 - self.open_bits) as u8);
        }
    }

    /// Whole bytes; the stream must be at a byte border.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.open_bits, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// A stored block (3.2.4): never the last one.
    pub(super) fn stored_block(&mut self, raw: &[u8]) {
        debug_assert!(raw.len() <= 65535);
        let length = raw.len() as u16;
        self.field(0, 3);
        self.pad();
        self.raw(&length.to_le_bytes());
        self.raw(&(!length).to_le_bytes());
        self.raw(raw);
    }

    /// Moves the finished bytes to `out`.
    pub(super) fn drain_into(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }
}
