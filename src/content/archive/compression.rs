//! Compressions that `docker load` accepts, told apart by their first bytes, under a budget.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use crate::content::limits::{Limits, RATIO_FLOOR};

/// How many bytes [`Compression::detect`] looks at.
pub(super) const MAGIC_BYTES: usize = 6;
/// Size of the buffer before a decompressor.
const BUFFER: usize = 128 << 10;

/// Whether content that starts like this seems to be an image archive, compressed or not; a tar shows
/// in its first 512 bytes. Reading it says for certain.
#[must_use]
pub fn is_archive(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar") || Compression::detect(start) != Compression::None
}

/// Compression of an archive or a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Compression {
    /// bzip2, concatenated streams allowed.
    Bzip2,
    /// gzip, multiple members allowed.
    Gzip,
    /// Not compressed.
    None,
    /// xz, concatenated streams allowed.
    Xz,
    /// Zstandard, multiple and skippable frames allowed.
    Zstd,
}

impl Compression {
    /// Detects by magic number, as engines do (moby/go-archive `compression.Detect`).
    pub(super) fn detect(start: &[u8]) -> Self {
        match start {
            [0x42, 0x5a, 0x68, ..] => Self::Bzip2,
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Wraps `reader` in the decompressor.
    ///
    /// The decompressed stream ends where the compressed one does: bytes behind the last member
    /// or frame are an error. `max_bytes` and the ratio of `limits` are enforced while reading.
    pub(super) fn reader<'a>(
        self,
        reader: impl Read + 'a,
        max_bytes: u64,
        limits: &Limits,
    ) -> io::Result<Box<dyn Read + 'a>> {
        let input = Rc::new(Cell::new(0));
        let counted =
            BufReader::with_capacity(BUFFER, Counted { inner: reader, count: Rc::clone(&input) });
        let inner: Box<dyn Read + 'a> = match self {
            Self::None => return Ok(Box::new(Budget::new(counted, max_bytes, None))),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(counted)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    limits.window_bytes,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(counted, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(counted)?;
                decoder.window_log_max(limits.window_bytes.ilog2())?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(Budget::new(inner, max_bytes, Some((input, limits.ratio)))))
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

/// A limit was exceeded while decompressing (`security.md` S10, S11).
#[derive(Debug, thiserror::Error)]
#[error("{what} exceeds the limit of {limit}")]
pub(super) struct OverBudget {
    what: &'static str,
    limit: u64,
}

struct Budget<R> {
    inner: R,
    max_bytes: u64,
    produced: u64,
    ratio: Option<(Rc<Cell<u64>>, u64)>,
}

impl<R> Budget<R> {
    fn new(inner: R, max_bytes: u64, ratio: Option<(Rc<Cell<u64>>, u64)>) -> Self {
        Self { inner, max_bytes, produced: 0, ratio }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.produced += n as u64;
        if self.produced > self.max_bytes {
            let what = "the size after decompression (a bomb?)";
            return Err(io::Error::other(OverBudget { what, limit: self.max_bytes }));
        }
        if let Some((input, ratio)) = &self.ratio
            && self.produced > RATIO_FLOOR
            && self.produced / input.get().max(1) > *ratio
        {
            let what = "the compression ratio (a bomb?)";
            return Err(io::Error::other(OverBudget { what, limit: *ratio }));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(data).unwrap();
        out.finish().unwrap()
    }

    fn decode(data: &[u8], max: u64) -> io::Result<Vec<u8>> {
        let compression = Compression::detect(&data[..data.len().min(MAGIC_BYTES)]);
        let mut out = Vec::new();
        compression.reader(data, max, &Limits::default())?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn multi_member_streams() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode(&two, 100).unwrap(), b"one two");
        let two =
            [zstd::encode_all(&b"one "[..], 1).unwrap(), zstd::encode_all(&b"two"[..], 1).unwrap()]
                .concat();
        assert_eq!(decode(&two, 100).unwrap(), b"one two");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9], two.as_slice()].concat();
        assert_eq!(decode(&skippable, 100).unwrap(), b"one two");
        let mut xz = Vec::new();
        for part in [&b"one "[..], b"two"] {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
            out.write_all(part).unwrap();
            xz.extend(out.finish().unwrap());
        }
        assert_eq!(decode(&xz, 100).unwrap(), b"one two");
        let mut bz = Vec::new();
        for part in [&b"one "[..], b"two"] {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(part).unwrap();
            bz.extend(out.finish().unwrap());
        }
        assert_eq!(decode(&bz, 100).unwrap(), b"one two");
    }

    #[test]
    fn trailing_garbage_and_truncation_are_errors() {
        let whole = gzip(&[b'x'; 1000]);
        assert!(decode(&[&whole[..], b"garbage"].concat(), 5000).is_err());
        for cut in 1..whole.len() {
            if cut >= 3 {
                assert!(decode(&whole[..cut], 5000).is_err(), "cut at {cut}");
            }
        }
        let zst = zstd::encode_all(&[b'x'; 1000][..], 1).unwrap();
        assert!(decode(&zst[..zst.len() - 1], 5000).is_err());
        assert!(decode(&[&zst[..], b"garbage"].concat(), 5000).is_err());
    }

    #[test]
    fn s10_bombs_are_stopped() {
        let zeros = vec![0; 1 << 20];
        assert!(decode(&gzip(&zeros), 1 << 19).is_err(), "size");
        let zst = zstd::encode_all(&vec![0; 80 << 20][..], 3).unwrap();
        assert!(decode(&zst, u64::MAX).is_err(), "ratio {}", (80 << 20) / zst.len());
    }
}
