//! CRC-32 of RFC 1952 section 8: eight bytes at a time, and the CRC of two joined texts.

/// The checksum of everything [`update`](Crc32::update) has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crc32(u32);

impl Crc32 {
    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut crc = !self.0;
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            let [a, b, c, d] = crc.to_le_bytes();
            let mut next = TABLES[15][usize::from(block[0] ^ a)]
                ^ TABLES[14][usize::from(block[1] ^ b)]
                ^ TABLES[13][usize::from(block[2] ^ c)]
                ^ TABLES[12][usize::from(block[3] ^ d)];
            for (table, &byte) in TABLES[..12].iter().rev().zip(&block[4..]) {
                next ^= table[usize::from(byte)];
            }
            crc = next;
        }
        for &byte in rest {
            crc = (crc >> 8) ^ TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)];
        }
        self.0 = !crc;
    }

    /// Adds bytes of which only the checksum and the number are known.
    pub(super) fn append(&mut self, other: Self, length: u64) {
        // Zeros after a text multiply its remainder by x^8 each; the rest is linear.
        self.0 = multiply(power_of_x(length, 3), self.0) ^ other.0;
    }

    /// The value so far.
    pub(super) fn value(self) -> u32 {
        self.0
    }
}

/// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// `TABLES[k][b]` is the remainder of byte `b` followed by `k` zero bytes.
static TABLES: [[u32; 256]; 16] = tables();

const fn tables() -> [[u32; 256]; 16] {
    let mut tables = [[0u32; 256]; 16];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        tables[0][i] = value;
        i += 1;
    }
    let mut k = 1;
    while k < 16 {
        let mut i = 0;
        while i < 256 {
            let before = tables[k - 1][i];
            tables[k][i] = (before >> 8) ^ tables[0][(before & 255) as usize];
            i += 1;
        }
        k += 1;
    }
    tables
}

/// The product of two polynomials, whose highest power is the lowest bit.
fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    for power in 0..32 {
        if a << power >> 31 == 1 {
            product ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

/// x to the power of n times 2^k.
fn power_of_x(mut n: u64, k: u32) -> u32 {
    let mut result = 1 << 31;
    let mut square = 1 << 30;
    for _ in 0..k {
        square = multiply(square, square);
    }
    while n > 0 {
        if n & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        n >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (text, expected) in [
            ("", 0),
            ("a", 0xe8b7_be43),
            ("123456789", 0xcbf4_3926),
            ("The quick brown fox jumps over the lazy dog", 0x414f_a339),
        ] {
            let mut crc = Crc32::default();
            crc.update(text.as_bytes());
            assert_eq!(crc.value(), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        let mut whole = Crc32::default();
        whole.update(&bytes);
        for size in [1, 3, 15, 16, 17, 64, 999] {
            let mut pieces = Crc32::default();
            bytes.chunks(size).for_each(|piece| pieces.update(piece));
            assert_eq!(pieces.value(), whole.value(), "pieces of {size}");
        }
    }

    #[test]
    fn checksums_of_parts_combine() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i * i % 253) as u8).collect();
        let crc = |bytes: &[u8]| {
            let mut crc = Crc32::default();
            crc.update(bytes);
            crc
        };
        for cut in [0, 1, 2, 255, 256, 4095, 4999, 5000] {
            let (first, second) = bytes.split_at(cut);
            let mut joined = crc(first);
            joined.append(crc(second), second.len() as u64);
            assert_eq!(joined.value(), crc(&bytes).value(), "cut at {cut}");
        }
    }
}
