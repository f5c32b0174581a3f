//! The one thread pool of this crate.
//!
//! Size: `COLLEGIUM_NUM_THREADS`, else the number of cores, read when the pool is first needed.
//! Threads do not survive a fork, so a child process whose parent had started the pool works on
//! its own thread. Nothing ever waits for a lock that another thread may have held at the fork.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::interrupt::{self, PATIENCE, Question};

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
/// [`Error::Environment`] when the environment asks for an impossible number of threads;
/// [`Error::Interrupted`], see [`crate::interrupt`]: items that were begun are finished first.
pub fn map<T, R, F>(items: &[T], work: F) -> Result<Vec<R>>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync + Send,
{
    if items.len() < 2 {
        return Ok(items.iter().map(work).collect());
    }
    let one_by_one = || {
        let checked = |item| interrupt::check().map(|()| work(item));
        items.iter().map(checked).collect()
    };
    match (pool()?, interrupt::question()) {
        (None, _) => one_by_one(),
        (Some(threads), None) => Ok(threads.install(|| items.par_iter().map(work).collect())),
        (Some(threads), Some(question)) => watched(threads, question, items, &work),
    }
}

/// The pool works while this thread, which may be the only one that can tell, asks for the end.
fn watched<T, R, F>(
    threads: &ThreadPool,
    question: Question,
    items: &[T],
    work: &F,
) -> Result<Vec<R>>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync + Send,
{
    let stop = AtomicBool::new(false);
    let (sender, results) = channel();
    threads.in_place_scope(|scope| {
        let stop = &stop;
        scope.spawn(move |_| {
            let wanted = |item| (!stop.load(Ordering::Relaxed)).then(|| work(item));
            let found: Option<Vec<R>> = items.par_iter().map(wanted).collect();
            // The receiver waits for this.
            let _ = sender.send(found);
        });
        loop {
            match results.recv_timeout(PATIENCE) {
                Ok(found) => return found.ok_or(Error::Interrupted),
                Err(RecvTimeoutError::Timeout) => {
                    if question() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                // The work panicked; the scope passes it on.
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Interrupted),
            }
        }
    })
}

/// Apply `work` to every item in place, in parallel where that helps.
///
/// # Errors
///
/// As [`map`].
pub fn for_each<T, F>(items: &mut [T], work: F) -> Result<()>
where
    T: Send,
    F: Fn(&mut T) + Sync + Send,
{
    let threads = if items.len() < 2 { None } else { pool()? };
    match threads {
        Some(threads) => threads.install(|| items.par_iter_mut().for_each(work)),
        None => items.iter_mut().for_each(work),
    }
    Ok(())
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
    use std::time::{Duration, Instant};

    use super::{map, thread_count};
    use crate::error::Error;
    use crate::interrupt;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<u64> = (0..1000).collect();
        let squares = map(&items, |x| x * x).expect("default settings");
        assert_eq!(squares, items.iter().map(|x| x * x).collect::<Vec<_>>());
    }

    #[test]
    fn work_ends_when_it_must() {
        let items = vec![Duration::from_millis(20); 2000];
        let begin = Instant::now();
        let found = interrupt::allow(|| true, || map(&items, |time| std::thread::sleep(*time)));
        assert_eq!(found, Err(Error::Interrupted));
        assert!(
            begin.elapsed() < Duration::from_secs(1),
            "of twenty or more"
        );
        let whole = interrupt::allow(|| false, || map(&items[..20], Duration::as_millis));
        assert_eq!(whole, Ok(vec![20; 20]));
    }

    #[test]
    #[should_panic(expected = "item 7")]
    fn panics_are_passed_on() {
        let items: Vec<u32> = (0..20).collect();
        let work = |item: &u32| assert!(*item != 7, "item {item}");
        let _ = interrupt::allow(|| false, || map(&items, work));
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
