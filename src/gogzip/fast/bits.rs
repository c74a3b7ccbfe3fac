//! Bit streams: writing one quickly, and joining several.

/// A bit stream that takes up to 56 bits at a time.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    /// Finished bytes are those before `length`; the rest is room.
    bytes: Vec<u8>,
    length: usize,
    open: u64,
    open_bits: u32,
}

impl BitWriter {
    /// Makes room for that many bytes, so that [`put`](Self::put) need not grow.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let needed = self.length + bytes + 8;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.max(2 * self.bytes.len()), 0);
        }
    }

    /// Appends the low `count` (at most 56) bits of `value`; the bits above must be zero. What has
    /// no room is lost: see [`reserve`](Self::reserve).
    #[inline(always)]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.open |= value << self.open_bits;
        self.open_bits += count;
        if let Some(room) = self.bytes.get_mut(self.length..self.length + 8) {
            room.copy_from_slice(&self.open.to_le_bytes());
        }
        self.length += (self.open_bits / 8) as usize;
        self.open >>= self.open_bits & !7;
        self.open_bits &= 7;
    }

    /// Like [`put`](Self::put), with room for it.
    pub(super) fn field(&mut self, value: u64, count: u32) {
        self.reserve(8);
        self.put(value, count);
    }

    /// Whole bytes at the next byte border.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.pad();
        self.reserve(bytes.len());
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Zero bits to the next byte border.
    pub(super) fn pad(&mut self) {
        self.field(0, self.open_bits.wrapping_neg() & 7);
    }

    /// A stored block (RFC 1951, 3.2.4): never the last one.
    pub(super) fn stored_block(&mut self, raw: &[u8]) {
        let length = raw.len() as u16;
        self.field(0, 3);
        self.raw(&length.to_le_bytes());
        self.raw(&(!length).to_le_bytes());
        self.raw(raw);
    }

    /// Appends a stream of `bits` bits.
    pub(super) fn append(&mut self, bytes: &[u8], bits: usize) {
        self.reserve(bytes.len() + 8);
        let (whole, rest) = bytes[..bits / 8].as_chunks::<4>();
        for &word in whole {
            self.put(u64::from(u32::from_le_bytes(word)), 32);
        }
        for &byte in rest {
            self.put(u64::from(byte), 8);
        }
        let last = bits as u32 % 8;
        if last > 0 {
            self.put(u64::from(bytes[bits / 8]) & ((1 << last) - 1), last);
        }
    }

    /// Bits so far.
    pub(super) fn bits(&self) -> usize {
        8 * self.length + self.open_bits as usize
    }

    /// The whole bytes so far.
    pub(super) fn finished(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Drops the whole bytes; they have been used.
    pub(super) fn clear_finished(&mut self) {
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_streams_are_those_written_at_once() {
        let fields: Vec<(u64, u32)> =
            (0..400u64).map(|i| ((i * i * i) & ((1 << (i % 33)) - 1), (i % 33) as u32)).collect();
        for cut in [0, 1, 2, 3, 50, 333, 400] {
            let mut whole = BitWriter::default();
            let mut parts = [BitWriter::default(), BitWriter::default()];
            for (i, &(value, count)) in fields.iter().enumerate() {
                whole.field(value, count);
                parts[usize::from(i >= cut)].field(value, count);
            }
            let mut joined = BitWriter::default();
            for mut part in parts {
                let bits = part.bits();
                part.pad();
                joined.append(part.finished(), bits);
            }
            assert_eq!(joined.bits(), whole.bits(), "cut at {cut}");
            joined.pad();
            whole.pad();
            assert_eq!(joined.finished(), whole.finished(), "cut at {cut}");
        }
    }
}
