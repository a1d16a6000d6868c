//! What was read of files before, known by their text: who audits again reads what has changed.
//!
//! A record is found by a hash of the text, so that no clock and no path can make an old one pass for
//! a new one. Each is checked before it is believed, and what cannot be is read from the text as if
//! there were none.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher as _},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{facts::FileFacts, read};

const MAGIC: &[u8; 8] = b"newcolf\0";

/// A hash of all that says what facts are and how they are read: another reader's are not ours.
const READER: u64 = {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let sources = [
        env!("CARGO_PKG_VERSION").as_bytes(),
        include_bytes!("memory.rs"),
        include_bytes!("facts.rs"),
        include_bytes!("read/mod.rs"),
        include_bytes!("read/attrs.rs"),
        include_bytes!("read/chain.rs"),
        include_bytes!("read/strings.rs"),
    ];
    let mut at = 0;
    while at < sources.len() {
        hash = fnv(hash, sources[at]);
        at += 1;
    }
    hash
};

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// What is known of texts that were read.
#[derive(Debug, Default)]
pub struct Memory {
    stored: Vec<u8>,
    records: Mutex<HashMap<Key, Record>>,
}

/// A text, as a hash and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    hash: u64,
    length: u64,
}

/// What is known of a text, in one form or both.
#[derive(Debug, Clone, Default)]
struct Record {
    stored: Option<Stored>,
    /// `None` while nobody has asked.
    facts: Option<Arc<FileFacts>>,
}

/// Bytes of what was stored, with their hash.
#[derive(Debug, Clone)]
struct Stored {
    bytes: Range<usize>,
    check: u64,
}

impl Memory {
    /// Takes what [`Memory::to_store`] returned once. What is not of this version, or damaged, is
    /// forgotten.
    pub fn stored(bytes: Vec<u8>) -> Self {
        let records = Mutex::new(records(&bytes).unwrap_or_default());
        Self { stored: bytes, records }
    }

    /// Returns what is worth storing: all that was asked for. `None` where nothing is new.
    pub fn to_store(&self) -> Option<Vec<u8>> {
        let records = self.lock();
        let asked = records.iter().filter_map(|(key, record)| {
            record.facts.as_ref().map(|facts| (*key, record.stored.as_ref(), facts))
        });
        let mut asked: Vec<_> = asked.collect();
        if asked.iter().all(|(_, stored, _)| stored.is_some()) {
            return None;
        }
        asked.sort_by_key(|(key, ..)| *key);
        let mut store = Vec::with_capacity(self.stored.len());
        store.extend_from_slice(MAGIC);
        store.extend_from_slice(&READER.to_le_bytes());
        for (key, stored, facts) in asked {
            match stored {
                Some(stored) => key.append(&self.stored[stored.bytes.clone()], &mut store),
                None => key.append(&postcard::to_allocvec(&**facts).ok()?, &mut store),
            }
        }
        Some(store)
    }

    /// Returns what a text tells.
    pub(super) fn facts(&self, text: &str) -> Arc<FileFacts> {
        let key = Key::of(text);
        let record = self.lock().get(&key).cloned().unwrap_or_default();
        if let Some(facts) = record.facts {
            return facts;
        }
        let known = record.stored.and_then(|stored| Some((self.decode(key, &stored)?, stored)));
        let (facts, stored) = match known {
            Some((facts, stored)) => (facts, Some(stored)),
            None => (read::read(text), None),
        };
        let facts = Arc::new(facts);
        let record = Record { stored, facts: Some(Arc::clone(&facts)) };
        self.lock().insert(key, record);
        facts
    }

    fn decode(&self, key: Key, stored: &Stored) -> Option<FileFacts> {
        let bytes = &self.stored[stored.bytes.clone()];
        let is_whole = key.check(bytes) == stored.check;
        is_whole.then(|| postcard::from_bytes(bytes).ok()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        // Nobody stops half-way while holding it.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn of(text: &str) -> Self {
        Self { hash: hash(&[text.as_bytes()]), length: text.len() as u64 }
    }

    fn check(self, bytes: &[u8]) -> u64 {
        hash(&[&self.hash.to_le_bytes(), &self.length.to_le_bytes(), bytes])
    }

    fn append(self, bytes: &[u8], store: &mut Vec<u8>) {
        for word in [self.hash, self.length, bytes.len() as u64, self.check(bytes)] {
            store.extend_from_slice(&word.to_le_bytes());
        }
        store.extend_from_slice(bytes);
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

/// Finds the records of a store; `None` where it is not one of ours, or cut off.
fn records(store: &[u8]) -> Option<HashMap<Key, Record>> {
    let mut rest = store.strip_prefix(MAGIC)?;
    if word(&mut rest)? != READER {
        return None;
    }
    let mut records = HashMap::new();
    while !rest.is_empty() {
        let key = Key { hash: word(&mut rest)?, length: word(&mut rest)? };
        let (length, check) = (usize::try_from(word(&mut rest)?).ok()?, word(&mut rest)?);
        let start = store.len() - rest.len();
        rest = rest.get(length..)?;
        let stored = Some(Stored { bytes: start..start + length, check });
        records.insert(key, Record { stored, facts: None });
    }
    Some(records)
}

fn word(rest: &mut &[u8]) -> Option<u64> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*word))
}
