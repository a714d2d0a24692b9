//! One host's API through whichever node of its cluster answers.
//!
//! Every node passes on what is about another one, so a host whose own door is shut is reached through a
//! neighbour. A request goes to a second door only where the first one cannot have got it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ports::{Api, BoxFuture, Request, Response, TransportError};

/// The doors of a cluster in the order in which one host tries them.
pub(super) struct Neighbours {
    doors: Vec<Arc<dyn Api>>,
    /// The one that answered last.
    good: AtomicUsize,
}

impl Neighbours {
    /// A host's own door, and those of its neighbours.
    pub fn new(own: Arc<dyn Api>, others: impl IntoIterator<Item = Arc<dyn Api>>) -> Self {
        Self { doors: std::iter::once(own).chain(others).collect(), good: AtomicUsize::new(0) }
    }
}

impl Api for Neighbours {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let first = self.good.load(Ordering::Relaxed);
            let mut failed = None;
            for turn in 0..self.doors.len() {
                let at = (first + turn) % self.doors.len();
                match self.doors[at].send(request).await {
                    Err(error @ TransportError::NotSent { .. }) => {
                        // What the first one says is what the operator asked about.
                        failed.get_or_insert(error);
                    }
                    answer => {
                        self.good.store(at, Ordering::Relaxed);
                        return answer;
                    }
                }
            }
            Err(failed.expect("a host has a door of its own"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{FakeApi, Reply, get, post};

    fn pair(own: &Arc<FakeApi>, other: &Arc<FakeApi>) -> Neighbours {
        Neighbours::new(Arc::clone(own) as Arc<dyn Api>, [Arc::clone(other) as Arc<dyn Api>])
    }

    #[tokio::test]
    async fn a_shut_door_is_passed_by_and_not_tried_again_while_the_other_answers() {
        let own = FakeApi::script([Reply::NotSent]);
        let other = FakeApi::script([Reply::data("1"), Reply::data("2")]);
        let doors = pair(&own, &other);
        assert!(doors.send(&get("/version")).await.is_ok() && doors.send(&get("/version")).await.is_ok());
        assert_eq!((own.count(), other.count()), (1, 2));
    }

    #[tokio::test]
    async fn what_may_have_arrived_is_not_sent_through_another_door() {
        let own = FakeApi::script([Reply::Uncertain]);
        let other = FakeApi::script([Reply::data("1")]);
        let lost = pair(&own, &other).send(&post("/pools")).await;
        assert!(matches!(lost, Err(TransportError::Uncertain { .. })) && other.count() == 0);
    }

    #[tokio::test]
    async fn where_nobody_answers_it_is_the_host_s_own_door_that_is_spoken_of() {
        let (own, other) = (FakeApi::script([Reply::NotSent]), FakeApi::script([Reply::NotSent]));
        assert!(matches!(pair(&own, &other).send(&get("/version")).await, Err(TransportError::NotSent { .. })));
        assert_eq!((own.count(), other.count()), (1, 1));
    }
}
