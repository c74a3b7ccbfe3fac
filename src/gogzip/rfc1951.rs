//! The tables of RFC 1951 that both generations share, and gzip's frame (RFC 1952).

/// Go's header at the default level: no flags, no time, XFL 0, OS 255.
pub(super) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The trailer: CRC-32 of the input, and its length modulo 2^32.
pub(super) fn gzip_trailer(crc: u32, length: u64) -> [u8; 8] {
    let mut trailer = [0; 8];
    trailer[..4].copy_from_slice(&crc.to_le_bytes());
    trailer[4..].copy_from_slice(&(length as u32).to_le_bytes());
    trailer
}

/// Literals, end-of-block and length symbols that may occur.
pub(super) const LITERAL_SYMBOLS: usize = 286;
/// Distance symbols that may occur.
pub(super) const DISTANCE_SYMBOLS: usize = 30;
/// End of block.
pub(super) const END_OF_BLOCK: usize = 256;
/// Longest literal/length or distance code.
pub(super) const MAX_CODE_LENGTH: u8 = 15;
/// Longest code of the code-length alphabet.
pub(super) const MAX_CODE_LENGTH_CODE: u8 = 7;

/// (base length, extra bits) of symbols 257 and up (3.2.5).
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// (base distance, extra bits) of the distance symbols (3.2.5).
pub(super) const DISTANCES: [(u16, u8); DISTANCE_SYMBOLS] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// The order in which the lengths of the code-length codes are sent (3.2.7).
pub(super) const CODE_LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Index into [`LENGTHS`] of a match length (3..=258). 258 has a symbol of its own.
pub(super) fn length_index(length: u16) -> usize {
    LENGTHS.partition_point(|&(base, _)| base <= length).saturating_sub(1)
}

/// Index into [`DISTANCES`], that is the symbol, of a distance (1..=32768).
pub(super) fn distance_index(distance: u16) -> usize {
    DISTANCES.partition_point(|&(base, _)| base <= distance).saturating_sub(1)
}

/// Code length of a symbol of the fixed literal/length code (3.2.6).
pub(super) fn fixed_literal_length(symbol: usize) -> u8 {
    match symbol {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// Code length of every symbol of the fixed distance code (3.2.6).
pub(super) const FIXED_DISTANCE_LENGTH: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_lengths_and_distances() {
        for (length, symbol) in
            [(3, 257), (10, 264), (11, 265), (12, 265), (114, 279), (130, 280), (227, 284)]
        {
            assert_eq!(257 + length_index(length), symbol, "length {length}");
        }
        assert_eq!(257 + length_index(257), 284);
        assert_eq!(257 + length_index(258), 285);
        for (distance, symbol) in
            [(1, 0), (4, 3), (5, 4), (6, 4), (7, 5), (24576, 28), (24577, 29), (32768, 29)]
        {
            assert_eq!(distance_index(distance), symbol, "distance {distance}");
        }
    }

    #[test]
    fn every_value_lies_in_the_range_of_its_symbol() {
        for length in 3..=257 {
            let (base, extra) = LENGTHS[length_index(length)];
            assert!((base..base + (1 << extra)).contains(&length));
        }
        for distance in 1..=32768 {
            let (base, extra) = DISTANCES[distance_index(distance)];
            assert!(distance >= base && distance - base < 1 << extra);
        }
    }
}
