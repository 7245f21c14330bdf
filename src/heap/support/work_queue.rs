//! A work queue shared by several threads: each takes tasks, and gives away those it finds beyond its needs.
//! The work is done when the queue is empty and no thread is left that could add to it. Not rayon: tracing
//! discovers its tasks, keeps per-thread logs, and runs on threads that yield to the target.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The tasks still to be done, and the number of busy hands.
#[derive(Debug)]
pub struct Tasks<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    tasks: Vec<T>,
    busy: usize,
}

/// A worker of the queue: busy until it asks for a task, and while it has one.
#[derive(Debug)]
pub struct Hand<'a, T> {
    all: &'a Tasks<T>,
    is_busy: bool,
}

impl<T> Tasks<T> {
    /// A queue of these tasks; the last is taken first.
    pub fn new(tasks: Vec<T>) -> Tasks<T> {
        Tasks { state: Mutex::new(State { tasks, busy: 0 }), changed: Condvar::new() }
    }

    /// Adds a worker. All should have joined before one of them asks for a task.
    pub fn join(&self) -> Hand<'_, T> {
        self.lock().busy += 1;
        Hand { all: self, is_busy: true }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Hand<'_, T> {
    /// Adds a task.
    pub fn give(&self, task: T) {
        self.all.lock().tasks.push(task);
        self.all.changed.notify_one();
    }

    /// Takes a task. If there is none, waits for others to give one; `None` when all workers wait.
    pub fn take(&mut self) -> Option<T> {
        let mut state = self.all.lock();
        state.busy -= usize::from(mem::take(&mut self.is_busy));
        loop {
            if let Some(task) = state.tasks.pop() {
                state.busy += 1;
                self.is_busy = true;
                return Some(task);
            }
            if state.busy == 0 {
                self.all.changed.notify_all();
                return None;
            }
            state = self.all.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Drop for Hand<'_, T> {
    fn drop(&mut self) {
        if self.is_busy {
            self.all.lock().busy -= 1;
            self.all.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Each task of a size gives two of the next smaller size: all are done, by whichever thread.
    #[test]
    fn all_that_is_given_is_taken() {
        let tasks = Tasks::new(vec![10_u32]);
        let hands: Vec<_> = (0..4).map(|_| tasks.join()).collect();
        let counts: Vec<u32> = thread::scope(|scope| {
            let work = |mut hand: Hand<'_, u32>| {
                let mut count = 0;
                while let Some(size) = hand.take() {
                    count += 1;
                    (0..2).filter(|_| size > 0).for_each(|_| hand.give(size - 1));
                }
                count
            };
            let threads: Vec<_> =
                hands.into_iter().map(|hand| scope.spawn(move || work(hand))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(counts.iter().sum::<u32>(), (1 << 11) - 1);
    }

    #[test]
    fn who_leaves_without_asking_is_not_waited_for() {
        let tasks: Tasks<()> = Tasks::new(Vec::new());
        let (mut stays, leaves) = (tasks.join(), tasks.join());
        thread::scope(|scope| {
            scope.spawn(move || drop(leaves));
            assert_eq!(stays.take(), None);
        });
    }
}
