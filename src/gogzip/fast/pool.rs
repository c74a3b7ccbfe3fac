//! A few threads that run jobs.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What a thread keeps between its jobs is a `C`.
pub(super) struct Pool<C> {
    shared: Arc<Shared<C>>,
    threads: Vec<JoinHandle<()>>,
    /// For jobs on the caller's thread, if no other could be started.
    own: Option<C>,
}

/// Which jobs go first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// The output waits for it.
    Urgent,
    Normal,
}

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

struct Shared<C> {
    queue: Mutex<Queue<C>>,
    changed: Condvar,
}

struct Queue<C> {
    urgent: VecDeque<Job<C>>,
    normal: VecDeque<Job<C>>,
    is_closed: bool,
}

impl<C> Shared<C> {
    fn queue(&self) -> MutexGuard<'_, Queue<C>> {
        // Jobs run without the lock, and nothing that holds it can fail half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: 'static> Pool<C> {
    /// Starts the threads, or as many as the system permits.
    pub(super) fn new(threads: NonZero<usize>, context: fn() -> C) -> Self {
        let queue = Queue { urgent: VecDeque::new(), normal: VecDeque::new(), is_closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let threads: Vec<JoinHandle<()>> = (0..threads.get())
            .map_while(|_| {
                let shared = Arc::clone(&shared);
                let work = move || work(&shared, context());
                thread::Builder::new().name("gogzip".to_owned()).spawn(work).ok()
            })
            .collect();
        let own = threads.is_empty().then(context);
        Self { shared, threads, own }
    }

    /// Puts a job into the queue.
    pub(super) fn submit<T: Send + 'static>(
        &mut self,
        urgency: Urgency,
        job: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Ticket<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // Nobody waits for the result if the caller has given up.
        let job = move |context: &mut C| drop(sender.send(job(context)));
        if let Some(context) = &mut self.own {
            job(context);
        } else {
            let mut queue = self.shared.queue();
            match urgency {
                Urgency::Urgent => queue.urgent.push_back(Box::new(job)),
                Urgency::Normal => queue.normal.push_back(Box::new(job)),
            }
            drop(queue);
            self.shared.changed.notify_one();
        }
        Ticket(receiver)
    }
}

/// Runs jobs until the pool is dropped.
fn work<C>(shared: &Shared<C>, mut context: C) {
    let mut queue = shared.queue();
    loop {
        if queue.is_closed {
            return;
        }
        if let Some(job) = queue.urgent.pop_front().or_else(|| queue.normal.pop_front()) {
            drop(queue);
            job(&mut context);
            queue = shared.queue();
        } else {
            queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<C> Drop for Pool<C> {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has been noticed by whoever waited for its job.
            drop(thread.join());
        }
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// The result of a job, later.
#[derive(Debug)]
pub(super) struct Ticket<T>(Receiver<T>);

impl<T> Ticket<T> {
    /// Waits for the job.
    pub(super) fn wait(self) -> io::Result<T> {
        self.0.recv().map_err(|_| io::Error::other("a compression thread has died"))
    }
}
