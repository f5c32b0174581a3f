//! What one thread needs to encode, kept from call to call.

use std::sync::Mutex;

use super::bpe::MergeScratch;
use super::cache::WordCache;
use super::unigram::Lattice;

/// The cache and the buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Worker {
    /// Tokens of the words seen so far.
    pub cache: WordCache,
    /// Buffers of the merges.
    pub merging: MergeScratch,
    /// Buffers of the search for the best segmentation.
    pub lattice: Lattice,
    /// A word with a mark before it.
    pub marked: String,
}

/// Workers that are not in use. Nothing waits: whoever finds the lock taken makes a new worker.
#[derive(Debug)]
pub(super) struct Stash {
    idle: Mutex<Vec<Worker>>,
    cache_words: Option<usize>,
}

/// Idle workers that are kept; more than the threads of most machines.
const KEPT: usize = 64;

impl Stash {
    /// No workers yet; their caches will hold `cache_words` words, if given.
    pub fn new(cache_words: Option<usize>) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            cache_words,
        }
    }

    /// Lend a worker to `work`.
    pub fn lend<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let idle = self.idle.try_lock().ok().and_then(|mut idle| idle.pop());
        let mut worker = idle.unwrap_or_else(|| self.fresh());
        let result = work(&mut worker);
        if let Ok(mut idle) = self.idle.try_lock()
            && idle.len() < KEPT
        {
            idle.push(worker);
        }
        result
    }

    fn fresh(&self) -> Worker {
        let mut worker = Worker::default();
        if let Some(words) = self.cache_words {
            worker.cache = WordCache::with_words(words);
        }
        worker
    }
}
