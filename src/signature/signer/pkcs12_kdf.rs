//! Key derivation and the old ciphers of PKCS#12 (RFC 7292, appendix B and C).
//!
//! Nothing new should be protected with these. Windows, macOS and older Java still write them, and
//! the integrity of every PKCS#12 file hangs on the derivation.

use cbc::cipher::{
    BlockModeDecrypt as _, InnerIvInit as _, KeyInit as _, KeyIvInit as _, block_padding::Pkcs7,
};
use zeroize::Zeroizing;

use crate::image::digest::Algorithm as HashAlgorithm;
use crate::signature::crypto;

/// What is derived; the number goes into the derivation.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Key,
    Iv,
    Mac,
}

/// A hash of PKCS#12: SHA-1, or one of the usual ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Hash(pub(super) Option<HashAlgorithm>);

impl Hash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self.0 {
            None => crypto::sha1_identifier(bytes).to_vec(),
            Some(algorithm) => crypto::hash(algorithm, bytes),
        }
    }

    pub(super) fn len(self) -> usize {
        self.0.map_or(20, |algorithm| algorithm.hex_len() / 2)
    }

    fn block_len(self) -> usize {
        match self.0 {
            None | Some(HashAlgorithm::Sha256) => 64,
            Some(HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => 128,
        }
    }
}

/// What is common to all derivations of one protected part.
pub(super) struct Derivation<'a> {
    pub(super) hash: Hash,
    /// UTF-16, big endian, terminated by zero.
    pub(super) passphrase: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) iterations: u32,
}

impl Derivation<'_> {
    /// `length` bytes for this use (appendix B.2).
    pub(super) fn derive(&self, purpose: Use, length: usize) -> Zeroizing<Vec<u8>> {
        let block = self.hash.block_len();
        let diversifier = match purpose {
            Use::Key => 1u8,
            Use::Iv => 2,
            Use::Mac => 3,
        };
        let mut state = Zeroizing::new(repeated(self.salt, block));
        state.extend(repeated(self.passphrase, block));
        let mut out = Zeroizing::new(Vec::new());
        while out.len() < length {
            let mut input = Zeroizing::new(vec![diversifier; block]);
            input.extend_from_slice(&state);
            let mut digest = Zeroizing::new(self.hash.digest(&input));
            for _ in 1..self.iterations {
                digest = Zeroizing::new(self.hash.digest(&digest));
            }
            let addend = repeated(&digest, block);
            for chunk in state.chunks_exact_mut(block) {
                add_with_one(chunk, &addend);
            }
            out.extend_from_slice(&digest);
        }
        out.truncate(length);
        out
    }
}

/// Copies of `bytes` filling a whole number of blocks; nothing for nothing.
fn repeated(bytes: &[u8], block: usize) -> Vec<u8> {
    let length = bytes.len().div_ceil(block).saturating_mul(block);
    bytes.iter().copied().cycle().take(length).collect()
}

/// `chunk + addend + 1`, big endian, overflow dropped.
fn add_with_one(chunk: &mut [u8], addend: &[u8]) {
    let mut carry = 1u16;
    for (byte, add) in chunk.iter_mut().zip(addend).rev() {
        let [high, low] = (u16::from(*byte) + u16::from(*add) + carry).to_be_bytes();
        *byte = low;
        carry = high.into();
    }
}

/// pbeWithSHAAnd3-KeyTripleDES-CBC. `None` if passphrase or padding are wrong.
pub(super) fn decrypt_triple_des(derivation: &Derivation<'_>, data: &[u8]) -> Option<Vec<u8>> {
    let key = derivation.derive(Use::Key, 24);
    let iv = derivation.derive(Use::Iv, 8);
    let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(data).ok()
}

/// pbeWithSHAAnd40BitRC2-CBC. `None` if passphrase or padding are wrong.
pub(super) fn decrypt_rc2_40(derivation: &Derivation<'_>, data: &[u8]) -> Option<Vec<u8>> {
    let key = derivation.derive(Use::Key, 5);
    let iv = derivation.derive(Use::Iv, 8);
    let cipher = rc2::Rc2::new_from_slice(&key).ok()?;
    let cipher = cbc::Decryptor::inner_iv_slice_init(cipher, &iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_agrees_with_published_vectors() {
        // "smeg" and "queeg", SHA-1: the vectors that many implementations of PKCS#12 share.
        let bmp = |text: &str| {
            text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect::<Vec<u8>>()
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let derive = |passphrase: &str, salt: [u8; 8], iterations, purpose, length| {
            let derivation = Derivation {
                hash: Hash(None),
                passphrase: &bmp(passphrase),
                salt: &salt,
                iterations,
            };
            hex(&derivation.derive(purpose, length))
        };
        let salt = [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f];
        assert_eq!(
            derive("smeg", salt, 1, Use::Key, 24),
            "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"
        );
        assert_eq!(derive("smeg", salt, 1, Use::Iv, 8), "79993dfe048d3b76");
        let salt = [0x05, 0xde, 0xc9, 0x59, 0xac, 0xff, 0x72, 0xf7];
        assert_eq!(
            derive("queeg", salt, 1000, Use::Key, 24),
            "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"
        );
        assert_eq!(derive("queeg", salt, 1000, Use::Iv, 8), "11dedad7758d4860");
    }
}
