//! The walk over a layer's tar that finds where entries end. Memory: one header and the records of
//! one PAX header.

use super::MAX_WRITE;
use super::header::{BLOCK, Header, Kind, Malformed, PaxRecords, until_nul};

/// Records or long names above this are not read; the walk gives up. Go's reader has this limit.
const MAX_RECORDS: u64 = 1 << 20;

/// Finds the ends of the writes in a stream that arrives in arbitrary pieces.
#[derive(Debug)]
pub struct Segmenter {
    state: State,
    /// Bytes of the current state that are still to come.
    remaining: u64,
    /// Bytes of the state's text so far: a header block, PAX records, or a long name.
    text: Vec<u8>,
    /// Bytes since the last boundary.
    since_boundary: usize,
    offset: u64,
    /// From `x` headers, for the next real header.
    pax_size: Option<u64>,
    /// From `x` and `L` headers: whether the next entry's name ends in `/`.
    pax_directory: Option<bool>,
    long_directory: Option<bool>,
    fallback: Option<Fallback>,
}

/// The stream stopped being a tar that Docker could have split; writes of 32768 bytes follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fallback {
    /// Where: the end of the bytes that had been understood.
    pub offset: u64,
    /// Why.
    pub reason: FallbackReason,
}

/// Why a stream has no known boundaries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FallbackReason {
    /// The checksum of a header is wrong: not a tar, or damaged.
    Checksum,
    /// A size that is no number, is negative, or does not fit.
    Size,
    /// PAX records that cannot be read, or are larger than 1 MiB.
    PaxRecords,
    /// A sparse file: Docker's layer store cannot reproduce those.
    Sparse,
    /// One block of zeros that is not followed by a second one.
    EndMarker,
    /// The stream ends inside a header or a payload.
    Truncated,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A header, or the first block of the end marker.
    Header,
    /// Data of an `x` header, then padding.
    PaxRecords,
    /// Data of an `L` header, then padding.
    LongName,
    /// Data of a `K` header, which does not matter.
    LongLink,
    /// Data of a `g` header; ends an entry.
    PaxGlobal,
    /// A payload; ends an entry.
    Payload,
    /// Zeros up to the next header.
    Padding,
    /// The second block of the end marker; ends an entry.
    EndMarker,
    /// Whatever follows the end marker, one entry.
    Trailing,
    /// After a [`Fallback`].
    Unknown,
}

impl Default for Segmenter {
    fn default() -> Self {
        Self::new()
    }
}

impl Segmenter {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header,
            remaining: BLOCK as u64,
            text: Vec::with_capacity(BLOCK),
            since_boundary: 0,
            offset: 0,
            pax_size: None,
            pax_directory: None,
            long_directory: None,
            fallback: None,
        }
    }

    /// Takes bytes up to the next boundary: how many, and whether a boundary is there. The caller
    /// offers the rest again. The end of the stream is always a boundary.
    #[must_use]
    pub fn advance(&mut self, data: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while taken < data.len() {
            let available = data.len() - taken;
            let to_cut = MAX_WRITE - self.since_boundary;
            let wanted = match self.state {
                State::Trailing | State::Unknown => usize::MAX,
                _ => usize::try_from(self.remaining).unwrap_or(usize::MAX),
            };
            let length = available.min(to_cut).min(wanted);
            let piece = &data[taken..taken + length];
            taken += length;
            self.offset += length as u64;
            self.since_boundary += length;
            let ends_entry = self.consume(piece);
            if ends_entry || self.since_boundary == MAX_WRITE {
                // An entry that ends exactly at a cut starts a new count too.
                self.since_boundary = 0;
                return (taken, true);
            }
        }
        (taken, false)
    }

    /// The verdict at the end of the stream.
    #[must_use]
    pub fn finish(mut self) -> Option<Fallback> {
        let at_border = match self.state {
            // A tar without an end marker is fine, and so is one that ends after half of it.
            State::Header | State::EndMarker => self.remaining == BLOCK as u64,
            State::Trailing | State::Unknown => true,
            _ => false,
        };
        if !at_border {
            self.give_up(FallbackReason::Truncated);
        }
        self.fallback
    }

    /// Takes a piece that lies within the current state. True if an entry ends after it.
    fn consume(&mut self, piece: &[u8]) -> bool {
        match self.state {
            State::Trailing | State::Unknown => return false,
            State::Header | State::EndMarker | State::PaxRecords | State::LongName => {
                self.text.extend_from_slice(piece);
            }
            State::LongLink | State::PaxGlobal | State::Payload | State::Padding => {}
        }
        self.remaining -= piece.len() as u64;
        self.remaining == 0 && self.end_of_state()
    }

    /// Moves on after the last byte of a state. True if an entry ends here.
    fn end_of_state(&mut self) -> bool {
        let text = std::mem::take(&mut self.text);
        let ends_entry = match self.state {
            State::Header => self.end_of_header(&text),
            State::EndMarker => {
                if text.iter().all(|&byte| byte == 0) {
                    self.state = State::Trailing;
                    true
                } else {
                    self.give_up(FallbackReason::EndMarker);
                    false
                }
            }
            State::PaxRecords => {
                match PaxRecords::parse(&text) {
                    None => self.give_up(FallbackReason::PaxRecords),
                    Some(records) if records.is_sparse => self.give_up(FallbackReason::Sparse),
                    Some(records) => {
                        self.pax_size = records.size.or(self.pax_size);
                        self.pax_directory = records.is_directory_name.or(self.pax_directory);
                        self.padding();
                    }
                }
                false
            }
            State::LongName => {
                let name = until_nul(&text);
                if !name.is_empty() {
                    self.long_directory = Some(name.ends_with(b"/"));
                }
                self.padding();
                false
            }
            State::LongLink => {
                self.padding();
                false
            }
            State::PaxGlobal | State::Payload => {
                self.padding();
                true
            }
            State::Padding => {
                self.enter(State::Header, BLOCK as u64);
                false
            }
            State::Trailing | State::Unknown => false,
        };
        self.text = text;
        self.text.clear();
        self.text.shrink_to(BLOCK);
        ends_entry
    }

    fn end_of_header(&mut self, block: &[u8]) -> bool {
        if block.iter().all(|&byte| byte == 0) {
            self.enter(State::EndMarker, BLOCK as u64);
            return false;
        }
        let header = block.try_into().map_err(|_| Malformed::Checksum).and_then(Header::parse);
        let header = match header {
            Ok(header) => header,
            Err(Malformed::Checksum) => {
                self.give_up(FallbackReason::Checksum);
                return false;
            }
            Err(Malformed::Size) => {
                self.give_up(FallbackReason::Size);
                return false;
            }
        };
        match header.kind {
            Kind::Pax if header.size > MAX_RECORDS => self.give_up(FallbackReason::PaxRecords),
            Kind::LongName if header.size > MAX_RECORDS => self.give_up(FallbackReason::Size),
            Kind::Pax => self.data(State::PaxRecords, header.size),
            Kind::LongName => self.data(State::LongName, header.size),
            Kind::LongLink => self.data(State::LongLink, header.size),
            Kind::Sparse => self.give_up(FallbackReason::Sparse),
            Kind::PaxGlobal => {
                self.forget_extensions();
                self.data(State::PaxGlobal, header.size);
                return header.size == 0;
            }
            Kind::HeaderOnly | Kind::Old | Kind::Payload => {
                let is_directory =
                    self.long_directory.or(self.pax_directory).unwrap_or(header.is_directory_name);
                let no_payload = match header.kind {
                    Kind::HeaderOnly => true,
                    Kind::Old => is_directory,
                    _ => false,
                };
                let size = if no_payload { 0 } else { self.pax_size.unwrap_or(header.size) };
                self.forget_extensions();
                self.data(State::Payload, size);
                return self.state != State::Unknown;
            }
        }
        false
    }

    fn forget_extensions(&mut self) {
        self.pax_size = None;
        self.pax_directory = None;
        self.long_directory = None;
    }

    /// Enters the data that belong to a header.
    fn data(&mut self, state: State, size: u64) {
        if self.offset.checked_add(size).is_none_or(|end| end > i64::MAX as u64) {
            self.give_up(FallbackReason::Size);
        } else if size == 0 {
            self.enter(State::Header, BLOCK as u64);
        } else {
            self.enter(state, size);
        }
    }

    /// Enters the padding up to a multiple of 512, if there is any.
    fn padding(&mut self) {
        let padding = self.offset.next_multiple_of(BLOCK as u64) - self.offset;
        if padding == 0 {
            self.enter(State::Header, BLOCK as u64);
        } else {
            self.enter(State::Padding, padding);
        }
    }

    fn enter(&mut self, state: State, remaining: u64) {
        self.state = state;
        self.remaining = remaining;
    }

    fn give_up(&mut self, reason: FallbackReason) {
        self.state = State::Unknown;
        self.fallback = Some(Fallback { offset: self.offset, reason });
    }
}
