//! Writes bolt files, for tests only: one version, pages in the order in which they are needed.

use std::collections::BTreeMap;

use super::page::{HEADER, fnv1a};

/// A bucket: keys with what they lead to.
pub(in crate::content::containerd) type Items = BTreeMap<Vec<u8>, Item>;

/// What a key leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::content::containerd) enum Item {
    Bytes(Vec<u8>),
    Bucket(Items),
}

/// A file with these buckets, both meta pages valid, the newest transaction 7.
pub(in crate::content::containerd) fn file(root: &Items, page_size: usize) -> Vec<u8> {
    let mut writer = Writer { pages: vec![0; 2 * page_size], page_size };
    let root = writer.bucket(root);
    let high_water = writer.pages.len() / page_size;
    for (id, txid) in [(0, 6), (1, 7)] {
        writer.meta(id, root, high_water, txid);
    }
    writer.pages
}

struct Writer {
    pages: Vec<u8>,
    page_size: usize,
}

/// A key, the flag that its value is a bucket, the value.
type Row = (Vec<u8>, bool, Vec<u8>);

impl Writer {
    fn meta(&mut self, id: usize, root: u64, high_water: usize, txid: u64) {
        let mut body = Vec::new();
        for word in [0xED0C_DAED_u32, 2, self.page_size.try_into().unwrap(), 0] {
            body.extend(word.to_le_bytes());
        }
        for word in [root, 0, u64::MAX, high_water as u64, txid] {
            body.extend(word.to_le_bytes());
        }
        body.extend(fnv1a(&body).to_le_bytes());
        let page = [header(id as u64, 4, 0, 0), body].concat();
        let at = id * self.page_size;
        self.pages[at..at + page.len()].copy_from_slice(&page);
    }

    /// Writes a bucket into pages of its own; the root page.
    fn bucket(&mut self, items: &Items) -> u64 {
        let rows = items.iter().map(|(key, item)| self.row(key, item)).collect::<Vec<_>>();
        let mut level: Vec<(Vec<u8>, u64)> = split(rows, self.page_size)
            .into_iter()
            .map(|rows| {
                let first = rows.first().map_or_else(Vec::new, |row| row.0.clone());
                (first, self.page(2, &leaf(&rows), rows.len()))
            })
            .collect();
        while level.len() > 1 {
            level = level
                .chunks(self.page_size / 64)
                .map(|children| {
                    (children[0].0.clone(), self.page(1, &branch(children), children.len()))
                })
                .collect();
        }
        level[0].1
    }

    /// Buckets without buckets that fit into a quarter of a page are inline, as bolt has them.
    fn row(&mut self, key: &[u8], item: &Item) -> Row {
        let items = match item {
            Item::Bytes(bytes) => return (key.to_vec(), false, bytes.clone()),
            Item::Bucket(items) => items,
        };
        let rows: Option<Vec<Row>> = items
            .iter()
            .map(|(key, item)| match item {
                Item::Bytes(bytes) => Some((key.clone(), false, bytes.clone())),
                Item::Bucket(_) => None,
            })
            .collect();
        let inline = rows.map(|rows| [header(0, 2, rows.len(), 0), leaf(&rows)].concat());
        let value = match inline.filter(|inline| inline.len() < self.page_size / 4) {
            Some(inline) => [vec![0; 16], inline].concat(),
            None => [self.bucket(items).to_le_bytes(), [0; 8]].concat(),
        };
        (key.to_vec(), true, value)
    }

    fn page(&mut self, flags: u16, body: &[u8], count: usize) -> u64 {
        let id = (self.pages.len() / self.page_size) as u64;
        let pages = (HEADER + body.len()).div_ceil(self.page_size);
        let end = self.pages.len() + pages * self.page_size;
        self.pages.extend(header(id, flags, count, pages - 1));
        self.pages.extend(body);
        self.pages.resize(end, 0);
        id
    }
}

fn split(rows: Vec<Row>, page_size: usize) -> Vec<Vec<Row>> {
    let mut pages = vec![Vec::new()];
    let mut filled = HEADER;
    for row in rows {
        let size = 16 + row.0.len() + row.2.len();
        if filled + size > page_size && !pages[pages.len() - 1].is_empty() {
            pages.push(Vec::new());
            filled = HEADER;
        }
        filled += size;
        pages.last_mut().unwrap().push(row);
    }
    pages
}

fn header(id: u64, flags: u16, count: usize, overflow: usize) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(u16::try_from(count).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(overflow).unwrap().to_le_bytes());
    bytes
}

fn leaf(rows: &[Row]) -> Vec<u8> {
    let mut elements = Vec::new();
    let mut data = Vec::new();
    for (at, (key, is_bucket, value)) in rows.iter().enumerate() {
        let pos = 16 * (rows.len() - at) + data.len();
        for word in [usize::from(*is_bucket), pos, key.len(), value.len()] {
            elements.extend(u32::try_from(word).unwrap().to_le_bytes());
        }
        data.extend([&key[..], value].concat());
    }
    [elements, data].concat()
}

fn branch(children: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut elements = Vec::new();
    let mut data = Vec::new();
    for (at, (key, page)) in children.iter().enumerate() {
        let pos = 16 * (children.len() - at) + data.len();
        for word in [pos, key.len()] {
            elements.extend(u32::try_from(word).unwrap().to_le_bytes());
        }
        elements.extend(page.to_le_bytes());
        data.extend(key);
    }
    [elements, data].concat()
}
