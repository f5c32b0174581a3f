//! The one thread pool of this crate.
//!
//! Size: `COLLEGIUM_NUM_THREADS`, else the number of cores, read when the pool is first needed.
//! Threads do not survive a fork, so a child process whose parent had started the pool works on
//! its own thread. Nothing ever waits for a lock that another thread may have held at the fork.

use std::process;
use std::sync::OnceLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// The environment variable that sets the number of threads.
pub const THREADS_VARIABLE: &str = "COLLEGIUM_NUM_THREADS";

#[derive(Debug)]
struct Pool {
    process: u32,
    threads: ThreadPool,
}

static POOL: OnceLock<Pool> = OnceLock::new();

/// Apply `work` to every item, in parallel where that helps, and return the results in order.
///
/// # Errors
///
/// [`Error::Environment`] when the environment asks for an impossible number of threads.
pub fn map<T, R, F>(items: &[T], work: F) -> Result<Vec<R>>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync + Send,
{
    if items.len() < 2 {
        return Ok(items.iter().map(work).collect());
    }
    Ok(match pool()? {
        Some(threads) => threads.install(|| items.par_iter().map(work).collect()),
        None => items.iter().map(work).collect(),
    })
}

/// The number of threads that [`map`] uses.
///
/// # Errors
///
/// As [`map`].
pub fn width() -> Result<usize> {
    Ok(pool()?.map_or(1, ThreadPool::current_num_threads))
}

/// The pool, or `None` where work is better done on the calling thread.
fn pool() -> Result<Option<&'static ThreadPool>> {
    let process = process::id();
    if POOL.get().is_none() {
        let count = thread_count(std::env::var(THREADS_VARIABLE).ok())?;
        if count == 1 {
            return Ok(None);
        }
        let built = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("collegium-{index}"))
            .build();
        match built {
            // Another thread may have been first; its pool is as good.
            Ok(threads) => drop(POOL.set(Pool { process, threads })),
            Err(_) => return Ok(None),
        }
    }
    Ok(POOL
        .get()
        .filter(|pool| pool.process == process)
        .map(|pool| &pool.threads))
}

fn thread_count(setting: Option<String>) -> Result<usize> {
    match setting.as_deref().map(str::trim) {
        None | Some("") => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(text) => match text.parse() {
            Ok(count @ 1..=1024) => Ok(count),
            _ => Err(Error::Environment {
                name: THREADS_VARIABLE,
                value: text.to_owned(),
                allowed: "a number of threads from 1 to 1024",
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{map, thread_count};

    #[test]
    fn results_keep_their_order() {
        let items: Vec<u64> = (0..1000).collect();
        let squares = map(&items, |x| x * x).expect("default settings");
        assert_eq!(squares, items.iter().map(|x| x * x).collect::<Vec<_>>());
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(thread_count(Some(" 3 ".into())), Ok(3));
        assert!(thread_count(None).expect("no setting") >= 1);
        for bad in ["0", "-1", "two", "99999"] {
            let message = thread_count(Some(bad.into()))
                .expect_err("must be refused")
                .to_string();
            assert!(message.contains(bad) && message.contains("COLLEGIUM_NUM_THREADS"));
        }
    }
}
