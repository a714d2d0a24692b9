//! Sends the recorded exchanges one after the other, as the recorder did: waits for tasks, knows its tokens and digests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use infra::lab::LiveSite;
use infra::lab::rules::{self, Request, work};
use infra::ports::{BoxFuture, Clock};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::compare::{Difference, compare};
use super::recording::{Row, Sent, chosen_macs};
use super::unrecorded::{self, Step};
use super::wire::{Actual, send};
use super::world;

/// Time as the recordings tell it; who waits moves it on.
#[derive(Debug)]
pub struct RecordedClock(AtomicI64);

impl Clock for RecordedClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
        Box::pin(async {})
    }
}

/// What came of one exchange.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub row: Row,
    pub actual: Actual,
    pub differences: Vec<Difference>,
}

/// What came of everything.
#[derive(Debug)]
pub struct Replayed {
    /// In recorded order.
    pub outcomes: Vec<Outcome>,
    /// Unrecorded steps that the lab refused.
    pub refused: Vec<String>,
    pub chosen: BTreeSet<String>,
}

struct Replay {
    site: Arc<LiveSite>,
    clock: Arc<RecordedClock>,
    /// Secrets by token, as the lab gave them out.
    secrets: BTreeMap<String, String>,
    /// Ticket and CSRF token.
    ticket: (String, String),
    /// Their task, ours.
    upids: BTreeMap<String, String>,
    /// Their digest, ours.
    digests: BTreeMap<String, String>,
}

/// Replays everything.
pub async fn replay(rows: &[Row]) -> Replayed {
    let start = rows.iter().find_map(Row::time).unwrap() - 120;
    let clock = Arc::new(RecordedClock(AtomicI64::new(start * 1000)));
    let mut world = world::world(clock.now());
    world.pace = 100;
    let site = LiveSite::new(world, Arc::<RecordedClock>::clone(&clock), Vec::new(), None).unwrap();
    let chosen = chosen_macs(rows);
    let mut replay = Replay {
        site,
        clock,
        secrets: BTreeMap::new(),
        ticket: Default::default(),
        upids: BTreeMap::new(),
        digests: BTreeMap::new(),
    };
    let steps = unrecorded::steps();
    let (mut outcomes, mut refused) = (Vec::new(), Vec::new());
    for row in unrecorded::in_order_of_arrival(rows) {
        for step in steps.iter().filter(|step| step.before == row.seq) {
            if let Err(why) = replay.unrecorded(step, row) {
                refused.push(format!("before {}: {} {}: {why}", step.before, step.method, step.path));
            }
        }
        replay.pass_time(row);
        let actual = replay.exchange(row).await;
        replay.learn(row, &actual.json());
        let differences = compare(row, &actual, &chosen);
        outcomes.push(Outcome { row: row.clone(), actual, differences });
        if !unrecorded::did_not_wait(row.seq) {
            replay.wait_for_tasks();
        }
    }
    outcomes.sort_by_key(|outcome| outcome.row.seq);
    Replayed { outcomes, refused, chosen }
}

impl Replay {
    fn pass_time(&self, row: &Row) {
        let now = self.clock.0.load(Ordering::SeqCst);
        let then = row.time().map_or(now + 10, |seconds| (seconds * 1000).max(now + 10));
        self.clock.0.store(then, Ordering::SeqCst);
    }

    /// The recorder looked at every task until it was over.
    fn wait_for_tasks(&self) {
        for _ in 0..10_000 {
            let busy = self.site.look(|world| world.tasks.iter().any(infra::lab::world::Task::is_running)).unwrap();
            if !busy {
                return;
            }
            self.clock.0.fetch_add(200, Ordering::SeqCst);
        }
        panic!("a task does not end");
    }

    async fn exchange(&mut self, row: &Row) -> Actual {
        let request = &row.request;
        let mut target = self.with_our_upids(&request.target);
        let mut body = request.body.clone();
        for theirs in digests_in(request) {
            let ours = self.digest(row, &theirs).await;
            target = target.replace(&theirs, &ours);
            body = body.map(|body| String::from_utf8_lossy(&body).replace(&theirs, &ours).into_bytes());
        }
        if target.ends_with("/access/ticket") {
            let text = String::from_utf8(body.unwrap_or_default()).unwrap();
            body = Some(text.replace("%3Cpassword%3E", world::PASSWORD).into_bytes());
        }
        send(&self.site, &request.method, &target, &self.headers(request, row.who.as_deref()), body.as_deref()).await
    }

    fn headers(&self, request: &Sent, who: Option<&str>) -> Vec<(String, String)> {
        let ours = |(name, value): &(String, String)| {
            let value = match name.as_str() {
                "Authorization" => self.authorization(value, who),
                "Cookie" => format!("PVEAuthCookie={}", utf8_percent_encode(&self.ticket.0, NON_ALPHANUMERIC)),
                "CSRFPreventionToken" => self.ticket.1.clone(),
                _ => value.clone(),
            };
            (name.clone(), value)
        };
        request.headers.iter().map(ours).collect()
    }

    /// `<secret>` stands for the right one; who is called `bad` had a wrong one.
    fn authorization(&self, value: &str, who: Option<&str>) -> String {
        let Some((id, _)) =
            value.split_once("=<secret>").and_then(|(head, tail)| Some((head.split_once('=')?.1, tail)))
        else {
            return value.to_owned();
        };
        let secret = self.secrets.get(id).map_or("never given out", String::as_str);
        let secret = if who == Some("bad") { "00000000-0000-0000-0000-000000000000" } else { secret };
        value.replace("<secret>", secret)
    }

    fn with_our_upids(&self, target: &str) -> String {
        let mut target = target.to_owned();
        for (theirs, ours) in &self.upids {
            let encoded = |upid: &str| upid.replace(':', "%3A").replace('@', "%40").replace('!', "%21");
            target = target.replace(&encoded(theirs), &encoded(ours)).replace(theirs, ours);
        }
        target
    }

    /// Ours for a digest of theirs. If it comes from a read that was not recorded and was right, it is that of now.
    async fn digest(&mut self, row: &Row, theirs: &str) -> String {
        if let Some(ours) = self.digests.get(theirs) {
            return ours.clone();
        }
        if row.response.status != 200 {
            return theirs.to_owned();
        }
        let target = row.request.target.split('?').next().unwrap_or_default();
        let now = send(&self.site, "GET", target, &self.headers(&row.request, row.who.as_deref()), None).await;
        let ours = now.json()["data"]["digest"].as_str().unwrap_or(theirs).to_owned();
        self.digests.insert(theirs.to_owned(), ours.clone());
        ours
    }

    fn learn(&mut self, row: &Row, ours: &Value) {
        let theirs = &row.response.json["data"];
        let ours = &ours["data"];
        if let (Some(id), Some(secret)) = (ours["full-tokenid"].as_str(), ours["value"].as_str()) {
            self.secrets.insert(id.to_owned(), secret.to_owned());
        }
        if let (Some(ticket), Some(csrf)) = (ours["ticket"].as_str(), ours["CSRFPreventionToken"].as_str()) {
            self.ticket = (ticket.to_owned(), csrf.to_owned());
        }
        if let (Some(theirs), Some(ours)) = (theirs.as_str(), ours.as_str())
            && theirs.starts_with("UPID:")
            && ours.starts_with("UPID:")
        {
            self.upids.insert(theirs.to_owned(), ours.to_owned());
        }
        self.learn_digests(theirs, ours);
    }

    fn learn_digests(&mut self, theirs: &Value, ours: &Value) {
        if let (Some(theirs), Some(ours)) = (theirs["digest"].as_str(), ours["digest"].as_str()) {
            self.digests.insert(theirs.to_owned(), ours.to_owned());
        }
        for (theirs, ours) in theirs.as_array().into_iter().flatten().zip(ours.as_array().into_iter().flatten()) {
            self.learn_digests(theirs, ours);
        }
    }

    /// Does what was done without being recorded. A task that comes of it is the one that the next exchange asks about.
    fn unrecorded(&mut self, step: &Step, next: &Row) -> Result<(), String> {
        if step.method == "HOST" {
            return self.site.change(|world| unrecorded::on_the_host(world, &step.path, &step.form)).unwrap();
        }
        let request = Request {
            method: step.method.clone(),
            path: step.path.clone(),
            params: step.params(),
            ..Request::default()
        };
        let answer = self.site.change(|world| {
            work::advance(world);
            rules::answer_as(world, &step.who, &request)
        });
        let answer = answer.unwrap().map_err(|refusal| refusal.text())?;
        if let Some(id) = answer.data["full-tokenid"].as_str() {
            self.secrets.insert(id.to_owned(), answer.data["value"].as_str().unwrap_or_default().to_owned());
        }
        let asked = percent_decode_str(&next.request.target).decode_utf8_lossy().into_owned();
        let theirs = asked.split('/').find(|part| part.starts_with("UPID:")).unwrap_or_default();
        let ours = answer.data.as_str().unwrap_or_default();
        let work = |upid: &str| upid.split(':').skip(5).take(2).map(str::to_owned).collect::<Vec<_>>();
        let asked_about = !theirs.is_empty() && work(theirs) == work(ours);
        if asked_about {
            self.upids.insert(theirs.to_owned(), ours.to_owned());
        }
        if !(asked_about && unrecorded::did_not_wait(next.seq)) {
            self.wait_for_tasks();
        }
        Ok(())
    }
}

/// Digests that a request names, but for the ones of zeros that are meant to be wrong.
fn digests_in(request: &Sent) -> Vec<String> {
    let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let texts = [body.as_ref(), &request.target];
    let after = texts.iter().filter_map(|text| Some(text.split_once("digest=")?.1.get(..40)?.to_owned()));
    after.filter(|digest| digest.bytes().any(|b| b != b'0')).collect()
}
