//! A way out of long work.
//!
//! Who starts work leaves a question with [`allow`]: "must it end?" The thread that it starts on
//! asks it about ten times a second, in [`crate::parallel::map`] or through [`check`], and the work
//! ends with [`Error::Interrupted`].

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long an answer holds.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Tells whether the work must end.
pub type Question = fn() -> bool;

thread_local! {
    static QUESTION: Cell<Option<Question>> = const { Cell::new(None) };
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Do `work`, which ends early once `question` says so.
pub fn allow<T>(question: Question, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Question>);
    impl Drop for Restore {
        fn drop(&mut self) {
            QUESTION.set(self.0);
        }
    }
    ASKED.set(Some(Instant::now()));
    let _restore = Restore(QUESTION.replace(Some(question)));
    work()
}

/// Ask, unless that was done a moment ago. Cheap enough for every few microseconds of work.
///
/// # Errors
///
/// [`Error::Interrupted`] if the work must end.
pub fn check() -> Result<()> {
    let Some(question) = QUESTION.get() else {
        return Ok(());
    };
    if ASKED.get().is_some_and(|last| last.elapsed() < PATIENCE) {
        return Ok(());
    }
    ASKED.set(Some(Instant::now()));
    if question() {
        return Err(Error::Interrupted);
    }
    Ok(())
}

/// The question of this thread, if one was left.
pub(crate) fn question() -> Option<Question> {
    QUESTION.get()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{allow, check};
    use crate::error::Error;

    #[test]
    fn only_the_one_who_allows_it_is_interrupted() {
        assert_eq!(check(), Ok(()));
        let found = allow(
            || true,
            || {
                assert_eq!(check(), Ok(()), "asked a moment ago");
                std::thread::sleep(Duration::from_millis(110));
                check()
            },
        );
        assert_eq!(found, Err(Error::Interrupted));
        assert_eq!(check(), Ok(()));
    }
}
