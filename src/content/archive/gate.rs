//! The strict gate under the tar crate.
//!
//! Tar readers disagree about sizes in PAX headers, sparse members, missing end markers and
//! unknown types, and what one reader skips as data another takes for members (RUSTSEC-2025-0111,
//! RUSTSEC-2026-0068, `security.md` S7). This reader passes the bytes of an archive on unchanged
//! and checks its blocks meanwhile: whatever readers could take differently is refused, and an
//! archive that ends without its end marker is truncated (a daemon that dies in mid-stream does
//! that, and the command line may exit 0 all the same).

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::error::ArchiveError;
use crate::content::limits::Limits;

const BLOCK: u64 = 512;
const BLOCK_USIZE: usize = 512;

/// Passes the blocks of a tar archive on and checks them.
pub(super) struct Gate<R> {
    inner: R,
    limits: Limits,
    /// Bytes passed on or skipped.
    position: u64,
    state: State,
    /// What extension headers said about the next member.
    pending: Pending,
}

enum State {
    /// A header comes next; the part of it that has not been passed on yet.
    Header { block: Box<[u8; BLOCK_USIZE]>, served: usize },
    /// Data and padding of a member: bytes left to pass on.
    Data { left: u64 },
    /// Data of an extension header, collected to be checked: bytes left, padding behind them.
    Extension { kind: u8, data: Vec<u8>, left: u64, padding: u64 },
    /// The first zero block was passed on.
    End,
}

#[derive(Default)]
struct Pending {
    gnu_name: bool,
    gnu_link: bool,
    pax: bool,
    pax_path: bool,
    pax_link: bool,
    pax_size: Option<u64>,
}

/// How an archive ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// Bytes other than zero behind the end marker.
    pub(super) trailing: bool,
}

impl<R: Read> Gate<R> {
    pub(super) fn new(inner: R, limits: Limits) -> Self {
        let state = State::Header { block: Box::new([0; BLOCK_USIZE]), served: BLOCK_USIZE };
        Self { inner, limits, position: 0, state, pending: Pending::default() }
    }

    /// Reads to the end of the stream after the last member: checks the end marker, and lets the
    /// writer of a pipe finish.
    pub(super) fn finish(mut self) -> Result<Ending, ArchiveError> {
        if !matches!(self.state, State::End) {
            let problem = "before the end-of-archive marker";
            return Err(ArchiveError::Truncated { offset: self.position, problem });
        }
        let mut buffer = vec![0; 64 << 10];
        let mut trailing = false;
        loop {
            match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(Ending { trailing }),
                Ok(n) => trailing |= buffer[..n].iter().any(|b| *b != 0),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(io_error(source)),
            }
        }
    }

    fn tar(&self, problem: impl Into<String>) -> io::Error {
        wrap(ArchiveError::Tar { offset: self.position, problem: problem.into() })
    }

    /// Reads the next header block; `false` at the end of the input.
    fn fetch(&mut self) -> io::Result<bool> {
        let mut block = Box::new([0; BLOCK_USIZE]);
        let mut filled = 0;
        while filled < BLOCK_USIZE {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(truncated(self.position, "inside a header")),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.state = State::Header { block, served: 0 };
        Ok(true)
    }

    /// Decides what follows a header that was passed on.
    fn after_header(&mut self, block: &[u8; BLOCK_USIZE]) -> io::Result<State> {
        if block.iter().all(|b| *b == 0) {
            if self.pending.any() {
                return Err(self.tar("an extension header describes no member"));
            }
            return Ok(State::End);
        }
        let ustar = &block[257..265] == b"ustar\x0000" || &block[257..265] == b"ustar  \x00";
        let size = number(&block[124..136]).ok_or_else(|| self.tar("malformed size"))?;
        let kind = block[156];
        match kind {
            b'x' | b'g' | b'L' | b'K' if !ustar => {
                Err(self.tar("extension header without the ustar magic"))
            }
            b'x' | b'g' | b'L' | b'K' => self.extension(kind, size),
            b'0' | 0 | b'7' => self.member(size, true),
            b'1' | b'2' | b'5' => self.member(size, false),
            other => Err(self.tar(format!(
                "member of type {:?}, only files, directories and links are expected",
                char::from(other)
            ))),
        }
    }

    fn extension(&self, kind: u8, size: u64) -> io::Result<State> {
        let limit = self.limits.extension_bytes;
        if size > limit {
            return Err(wrap(ArchiveError::Limit { what: "an extension header".into(), limit }));
        }
        let again = match kind {
            b'L' => self.pending.gnu_name,
            b'K' => self.pending.gnu_link,
            b'x' => self.pending.pax,
            _ => false,
        };
        if again {
            return Err(self.tar("two extension headers of one kind for one member"));
        }
        let padding = size.next_multiple_of(BLOCK) - size;
        Ok(State::Extension { kind, data: Vec::new(), left: size, padding })
    }

    fn member(&mut self, header_size: u64, is_file: bool) -> io::Result<State> {
        let pending = std::mem::take(&mut self.pending);
        if pending.gnu_name && pending.pax_path || pending.gnu_link && pending.pax_link {
            return Err(self.tar("a member has a GNU and a PAX name"));
        }
        // Writers put 0 where a size does not fit in octal; any other disagreement is an attack.
        if let Some(pax) = pending.pax_size
            && header_size != 0
            && header_size != pax
        {
            return Err(self.tar(format!("two sizes for one member: {header_size} and {pax}")));
        }
        let size = pending.pax_size.unwrap_or(header_size);
        if !is_file && size != 0 {
            return Err(self.tar("a link or directory with data"));
        }
        let left = size
            .checked_next_multiple_of(BLOCK)
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or_else(|| self.tar("size out of range"))?;
        Ok(State::Data { left })
    }

    fn after_extension(&mut self, kind: u8, data: &[u8]) -> io::Result<()> {
        match kind {
            b'L' => self.pending.gnu_name = true,
            b'K' => self.pending.gnu_link = true,
            _ => self.pax(data, kind == b'g')?,
        }
        Ok(())
    }

    /// Checks PAX records (POSIX.1-2017, pax, "Extended Header"): `LENGTH KEY=VALUE\n`.
    fn pax(&mut self, mut data: &[u8], global: bool) -> io::Result<()> {
        let mut seen = HashSet::new();
        self.pending.pax |= !global;
        while !data.is_empty() {
            let (key, value, rest) =
                pax_record(data).ok_or_else(|| self.tar("malformed PAX record"))?;
            data = rest;
            if !seen.insert(key) {
                return Err(self.tar("a PAX key twice in one header"));
            }
            if key.starts_with(b"GNU.sparse") {
                return Err(self.tar("sparse member"));
            }
            let names_member = matches!(key, b"path" | b"linkpath" | b"size");
            if global && names_member {
                return Err(self.tar("a global PAX header that renames or resizes members"));
            }
            match key {
                b"path" => self.pending.pax_path = true,
                b"linkpath" => self.pending.pax_link = true,
                b"size" => {
                    let size = decimal(value).ok_or_else(|| self.tar("malformed PAX size"))?;
                    self.pending.pax_size = Some(size);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Pending {
    fn any(&self) -> bool {
        self.gnu_name || self.gnu_link || self.pax
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.state {
                State::End => return Ok(0),
                State::Header { block, served } if *served < BLOCK_USIZE => {
                    let n = buffer.len().min(BLOCK_USIZE - *served);
                    buffer[..n].copy_from_slice(&block[*served..*served + n]);
                    *served += n;
                    self.position += n as u64;
                    if *served == BLOCK_USIZE {
                        let block = block.clone();
                        self.state = self.after_header(&block)?;
                    }
                    return Ok(n);
                }
                State::Data { left: 0 } | State::Header { .. } => {
                    if !self.fetch()? {
                        let problem = "before the end-of-archive marker";
                        return Err(truncated(self.position, problem));
                    }
                }
                State::Data { left } => {
                    let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    let n = self.inner.read(&mut buffer[..want])?;
                    if n == 0 {
                        return Err(truncated(self.position, "inside a member"));
                    }
                    *left -= n as u64;
                    self.position += n as u64;
                    return Ok(n);
                }
                State::Extension { left: 0, kind, data, padding } => {
                    let (kind, data, left) = (*kind, std::mem::take(data), *padding);
                    self.after_extension(kind, &data)?;
                    self.state = State::Data { left };
                }
                State::Extension { data, left, .. } => {
                    let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    let n = self.inner.read(&mut buffer[..want])?;
                    if n == 0 {
                        return Err(truncated(self.position, "inside an extension header"));
                    }
                    data.extend_from_slice(&buffer[..n]);
                    *left -= n as u64;
                    self.position += n as u64;
                    return Ok(n);
                }
            }
        }
    }
}

/// The tar crate seeks over the data of members; nothing else may be skipped.
impl<R: Read + Seek> Seek for Gate<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Current(delta) = to else {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        };
        let delta = u64::try_from(delta).map_err(|_| io::ErrorKind::Unsupported)?;
        match &mut self.state {
            _ if delta == 0 => {}
            State::Data { left } if delta <= *left => {
                *left -= delta;
                let step = i64::try_from(delta).map_err(|_| io::ErrorKind::Unsupported)?;
                self.inner.seek(SeekFrom::Current(step))?;
                self.position += delta;
            }
            State::Extension { .. } => {
                // Records and padding are read instead, so that they are checked.
                let skipped = io::copy(&mut self.by_ref().take(delta), &mut io::sink())?;
                if skipped < delta {
                    return Err(truncated(self.position, "inside an extension header"));
                }
            }
            _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
        Ok(self.position)
    }
}

fn truncated(offset: u64, problem: &'static str) -> io::Error {
    wrap(ArchiveError::Truncated { offset, problem })
}

/// Carries one of our errors through `io::Error`.
pub(super) fn wrap(error: ArchiveError) -> io::Error {
    io::Error::other(Box::new(error))
}

/// Takes an error of ours out of an `io::Error` again.
pub(super) fn io_error(error: io::Error) -> ArchiveError {
    match error.downcast::<Box<ArchiveError>>() {
        Ok(own) => *own,
        Err(source) => ArchiveError::Io { what: "the archive".into(), source },
    }
}

/// A number of a tar header: octal text, or base-256 with the high bit set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x7f);
        for byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let text = field.split(|b| *b == 0).next()?;
    let text = text.trim_ascii();
    if !text.iter().all(|b| matches!(b, b'0'..=b'7')) {
        return None;
    }
    text.iter().try_fold(0_u64, |n, b| n.checked_mul(8)?.checked_add(u64::from(b - b'0')))
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Splits one record off: key, value, rest.
fn pax_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let record = data.get(space + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&record[..equals], &record[equals + 1..], &data[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn padded(data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        data.resize(data.len().next_multiple_of(512), 0);
        data
    }

    fn run(bytes: &[u8]) -> Result<bool, String> {
        let mut gate = Gate::new(bytes, Limits::default());
        let mut out = Vec::new();
        gate.read_to_end(&mut out).map_err(|e| io_error(e).to_string())?;
        assert_eq!(out, bytes[..out.len()], "passes bytes on unchanged");
        gate.finish().map(|ending| ending.trailing).map_err(|e| e.to_string())
    }

    const END: [u8; 1024] = [0; 1024];

    #[test]
    fn passes_a_plain_archive() {
        let file = [header("a", 3, b'0'), padded(b"abc"), END.to_vec()].concat();
        assert_eq!(run(&file), Ok(false));
        let junk = [file.clone(), b"junk".to_vec()].concat();
        assert_eq!(run(&junk), Ok(true), "trailing data is reported");
        let one_block = &file[..file.len() - 512];
        assert_eq!(run(one_block), Ok(false), "one zero block and EOF is an end");
    }

    #[test]
    fn truncation_is_seen_at_every_byte() {
        let file = [header("a", 3, b'0'), padded(b"abc"), END.to_vec()].concat();
        for cut in 0..file.len() - 512 {
            assert!(run(&file[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn s7_two_sizes_are_refused() {
        let record = b"11 size=99\n";
        let pax = |size| {
            [
                header("x", record.len() as u64, b'x'),
                padded(record),
                header("a", size, b'0'),
                vec![0; 512],
                END.to_vec(),
            ]
            .concat()
        };
        assert!(run(&pax(3)).unwrap_err().contains("two sizes"));
        assert_eq!(run(&pax(99)), Ok(false));
        assert_eq!(run(&pax(0)), Ok(false));
    }

    #[test]
    fn refuses_what_readers_take_differently() {
        for (bytes, what) in [
            (header("a", 0, b'S'), "sparse"),
            (header("a", 0, b'3'), "device"),
            (header("a", 0, b'V'), "volume"),
            (header("a", 512, b'2'), "symlink with data"),
            (header("a", 512, b'5'), "directory with data"),
            (header("a", 2 << 20, b'L'), "huge long name"),
            ([header("x", 13, b'g'), padded(b"13 path=evil\n")].concat(), "global path"),
            ([header("x", 22, b'x'), padded(b"22 GNU.sparse.major=1\n")].concat(), "pax sparse"),
            ([header("x", 9, b'x'), padded(b"99 a=b\n..")].concat(), "record length"),
            ([header("x", 12, b'x'), padded(b"6 a=b\n6 a=c\n")].concat(), "the same key twice"),
            (
                [header("x", 6, b'x'), padded(b"6 a=b\n"), END.to_vec()].concat(),
                "extension without member",
            ),
        ] {
            let bytes = [bytes, vec![0; 4096]].concat();
            assert!(run(&bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"00000000017\0"), Some(15));
        assert_eq!(number(b"         17 "), Some(15));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\x00"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"0000000009\0\0"), None);
        assert_eq!(number(b"-0000000001\0"), None);
    }
}
