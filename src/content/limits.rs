//! Named limits for archives, which are hostile input until proven otherwise.

/// What an archive may cost. The defaults fit every image that engines can make.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes after the outer compression is removed. 256 GiB.
    pub total_bytes: u64,
    /// Most bytes of one layer after its compression is removed. 256 GiB.
    pub layer_bytes: u64,
    /// Largest ratio of decompressed to compressed bytes. Gzip can't exceed 1032.
    pub ratio: u64,
    /// Most members of an archive.
    pub members: usize,
    /// Largest PAX header or GNU long name. 1 MiB.
    pub extension_bytes: u64,
    /// Longest member name in bytes.
    pub name_bytes: usize,
    /// Longest chain of symbolic and hard links.
    pub link_depth: usize,
    /// Deepest nesting of indexes.
    pub index_depth: usize,
    /// Most manifests, indexes and configs that one walk over an archive reads, each as often as it is
    /// listed: 10,000 manifests with a config of their own.
    pub listed_documents: usize,
    /// Most bytes of JSON documents that are kept in memory, or read in one walk. 64 MiB.
    pub document_bytes: u64,
    /// Most memory for the dictionary of zstd or xz. 128 MiB.
    pub window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 256 << 30,
            layer_bytes: 256 << 30,
            ratio: 1100,
            members: 1_000_000,
            extension_bytes: 1 << 20,
            name_bytes: 4096,
            link_depth: 10,
            index_depth: 4,
            listed_documents: 20_000,
            document_bytes: 64 << 20,
            window_bytes: 128 << 20,
        }
    }
}

/// The ratio counts only from this many decompressed bytes on: a small file of zeros is no bomb.
pub const RATIO_FLOOR: u64 = 64 << 20;
/// Largest `manifest.json` (containerd's importer stops there too). 20 MiB.
pub const MANIFEST_JSON_BYTES: usize = 20 << 20;
/// Largest other JSON document that is kept: the limit of configs. 16 MiB.
pub const DOCUMENT_BYTES: usize = crate::image::config::MAX_BYTES;
