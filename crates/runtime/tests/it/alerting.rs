//! Rules evaluated over gathered series, webhooks sent to real servers that answer, fail, hang and die, and recoveries that pass
//! the gate.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use skyloom_analytics::alert::{
    Alert, Comparison, Condition, ForecastLine, Labels, Matcher, Notifier, Route, Rule, Timing,
};
use skyloom_core::{RetryPolicy, Timestamp};
use skyloom_provider::sim::SimConfig;
use skyloom_runtime::alerting::{
    Alarms, AlarmsState, Ended, Outbox, OutboxReport, OwnRemedy, Recoveries, Recovery, Remedy, Webhook,
};
use skyloom_runtime::sources::{GatherConfig, Gatherer, Kind, Point};
use skyloom_runtime::{Event, HttpUrl};
use skyloom_security::access::{Action, Effect, Principal, Role, RoleSet, Rule as AccessRule};
use tokio::sync::{Notify, oneshot};

use crate::world::{START, World, shop};

/// What a test receiver got, and how it answers: one status for each body, the last for all further ones; `None` hangs.
#[derive(Debug, Default)]
struct Inbox {
    got: Mutex<Vec<serde_json::Value>>,
    answers: Mutex<Vec<Option<u16>>>,
    news: Notify,
}

impl Inbox {
    fn answering(answers: &[Option<u16>]) -> Arc<Self> {
        let inbox = Self::default();
        *inbox.answers.lock().unwrap() = answers.to_vec();
        Arc::new(inbox)
    }

    async fn take(self: Arc<Self>, body: axum::body::Bytes) -> StatusCode {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers.first().copied().unwrap_or(Some(200))
            }
        };
        let Some(status) = answer else {
            self.news.notify_one();
            return std::future::pending().await;
        };
        if (200..300).contains(&status) {
            self.got.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        }
        self.news.notify_one();
        StatusCode::from_u16(status).unwrap()
    }

    async fn serve_at(self: &Arc<Self>, address: SocketAddr) -> (SocketAddr, oneshot::Sender<()>) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inbox = Arc::clone(self);
        let router = Router::new().route("/hook", post(move |body| Arc::clone(&inbox).take(body)));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                _ = stopped => {}
            }
        });
        (address, stop)
    }

    async fn serve(self: &Arc<Self>) -> (HttpUrl, oneshot::Sender<()>) {
        let (address, stop) = self.serve_at("127.0.0.1:0".parse().unwrap()).await;
        (format!("http://{address}/hook").parse().unwrap(), stop)
    }

    /// Waits until that many bodies were taken, and gives their statuses with the sorted names of their alerts.
    async fn bodies(&self, count: usize) -> Vec<serde_json::Value> {
        loop {
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            self.news.notified().await;
        }
    }
}

fn hook(url: HttpUrl, attempts: u32) -> Webhook {
    let retry = RetryPolicy::new(attempts, Duration::from_millis(5), Duration::from_millis(20));
    Webhook::new(url).with_patience(Duration::from_millis(200), retry)
}

fn outbox(webhooks: impl IntoIterator<Item = (&'static str, Webhook)>) -> Arc<Outbox> {
    let named = webhooks.into_iter().map(|(name, webhook)| (name.to_owned(), webhook));
    Arc::new(Outbox::new(named.collect::<BTreeMap<_, _>>()))
}

fn run(outbox: &Arc<Outbox>) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let outbox = Arc::clone(outbox);
    let running = tokio::spawn(async move { outbox.run(async { drop(stopped.await) }).await });
    (stop, running)
}

/// Waits until the outbox has counted what is asked for: it counts after the receiver has answered.
async fn counted(outbox: &Outbox, is_so: impl Fn(OutboxReport) -> bool) -> OutboxReport {
    while !is_so(outbox.counts()) {
        tokio::task::yield_now().await;
    }
    outbox.counts()
}

const AT_ONCE: Timing = Timing {
    wait: Duration::ZERO,
    interval: Duration::from_secs(1),
    repeat: Duration::from_secs(3600),
};

const fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn queue_long() -> Rule {
    let long = Condition::Value {
        is: Comparison::Above,
        than: 100.0,
    };
    Rule::new("QueueLong", vec![Matcher::equal("__name__", "queue")], long)
        .with_labels(Labels::from_iter([("severity", "page")]))
}

/// Rules over one gatherer, everything to the receiver `people`.
struct Watch {
    gatherer: Arc<Mutex<Gatherer>>,
    alarms: Alarms,
}

impl Watch {
    fn new(rules: Vec<Rule>, outbox: &Arc<Outbox>) -> Self {
        let gatherer = Arc::new(Mutex::new(Gatherer::new(GatherConfig::new())));
        let route = Route::new("people").with_groups(&["alertname"], AT_ONCE);
        let notifier = Notifier::new(route, Vec::new());
        let alarms = Alarms::new(Arc::clone(&gatherer), rules, notifier, Arc::clone(outbox)).unwrap();
        Self { gatherer, alarms }
    }

    fn queue(&mut self, job: &str, second: i64, value: f64) {
        let point = Point::new("queue", &[("job", job)], Kind::Gauge, at(second), value);
        self.gatherer.lock().unwrap().take(vec![point], at(second));
    }
}

fn names(body: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = body["alerts"].as_array().unwrap().iter();
    let mut names: Vec<_> = alerts
        .map(|a| (text(&a["labels"]["job"]), text(&a["status"])))
        .collect();
    names.sort();
    names
}

fn pair(job: &str, status: &str) -> (String, String) {
    (job.to_owned(), status.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_posted_as_alertmanager_does_and_resolved_afterwards() {
    let inbox = Inbox::answering(&[Some(200)]);
    let (url, _serving) = inbox.serve().await;
    let outbox = outbox([("people", hook(url, 3))]);
    let (_stop, _running) = run(&outbox);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    watch.queue("web", 0, 150.0);
    assert_eq!(watch.alarms.tick(at(0)).told, 1);
    assert_eq!(watch.alarms.tick(at(0)).told, 0, "told once");
    let body = inbox.bodies(1).await.remove(0);
    let shown = [
        &body["version"],
        &body["status"],
        &body["receiver"],
        &body["groupLabels"]["alertname"],
    ];
    assert_eq!(shown, ["4", "firing", "people", "QueueLong"]);
    let alert = &body["alerts"][0];
    assert_eq!(
        alert["labels"],
        serde_json::json!({"alertname": "QueueLong", "job": "web", "severity": "page"})
    );
    assert_eq!(alert["startsAt"], "1970-01-01T00:00:00Z");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["annotations"]["value"], "150");
    watch.queue("web", 10, 50.0);
    watch.alarms.tick(at(10));
    let body = inbox.bodies(2).await.remove(1);
    assert_eq!(
        (&body["status"], names(&body)),
        (&"resolved".into(), vec![pair("web", "resolved")])
    );
    assert_eq!(counted(&outbox, |counts| counts.sent == 2).await.given_up, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_told_again_until_it_takes_it() {
    let inbox = Inbox::answering(&[Some(500), Some(429), Some(503), Some(200)]);
    let (url, _serving) = inbox.serve().await;
    let outbox = outbox([("people", hook(url, 10))]);
    let (_stop, _running) = run(&outbox);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    watch.queue("web", 0, 150.0);
    watch.alarms.tick(at(0));
    assert_eq!(names(&inbox.bodies(1).await[0]), [pair("web", "firing")]);
    assert_eq!(counted(&outbox, |counts| counts.sent == 1).await.retried, 3);
    assert!(outbox.unsent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_refused_for_good_is_given_up_and_the_next_goes_out() {
    let inbox = Inbox::answering(&[Some(400), Some(200)]);
    let (url, _serving) = inbox.serve().await;
    let outbox = outbox([("people", hook(url, 10))]);
    let (_stop, _running) = run(&outbox);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    watch.queue("web", 0, 150.0);
    watch.alarms.tick(at(0));
    counted(&outbox, |counts| counts.given_up == 1).await;
    watch.queue("db", 5, 150.0);
    watch.alarms.tick(at(5));
    let body = inbox.bodies(1).await.remove(0);
    assert_eq!(names(&body), [pair("db", "firing"), pair("web", "firing")]);
    assert_eq!(counted(&outbox, |counts| counts.sent == 1).await.replaced, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_nobody_else() {
    let (stuck, quick) = (Inbox::answering(&[None]), Inbox::answering(&[Some(200)]));
    let ((stuck_url, _a), (quick_url, _b)) = (stuck.serve().await, quick.serve().await);
    let outbox = outbox([("people", hook(stuck_url, 1000)), ("others", hook(quick_url, 3))]);
    let (stop, running) = run(&outbox);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    let everybody = Route::new("people").with_groups(&["alertname"], AT_ONCE).with_child(
        Route::new("people")
            .with_groups(&["alertname"], AT_ONCE)
            .with_continue(),
    );
    let everybody = everybody.with_child(Route::new("others").with_groups(&["alertname"], AT_ONCE));
    *watch.alarms.notifier_mut() = Notifier::new(everybody, Vec::new());
    watch.queue("web", 0, 150.0);
    watch.alarms.tick(at(0));
    assert_eq!(names(&quick.bodies(1).await[0]), [pair("web", "firing")]);
    stuck.news.notified().await;
    counted(&outbox, |counts| counts.sent == 1).await;
    drop(stop);
    running.await.unwrap();
    let unsent: Vec<String> = outbox.unsent().into_iter().map(|unsent| unsent.receiver).collect();
    assert_eq!(unsent, ["people"], "what was under way is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_dead_learns_the_present_once_and_what_resolved() {
    let inbox = Inbox::answering(&[Some(200)]);
    let (address, serving) = inbox.serve_at("127.0.0.1:0".parse().unwrap()).await;
    drop(serving);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let url = format!("http://{address}/hook").parse().unwrap();
    let outbox = outbox([("people", hook(url, 100_000))]);
    let (_stop, _running) = run(&outbox);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    // While nobody listens: web fires, db fires, web resolves.
    for (second, job, value) in [(0, "web", 150.0), (5, "db", 150.0), (10, "web", 1.0)] {
        watch.queue(job, second, value);
        watch.alarms.tick(at(second));
    }
    counted(&outbox, |counts| counts.retried > 0).await;
    let (_, _serving) = inbox.serve_at(address).await;
    let body = inbox.bodies(1).await.remove(0);
    assert_eq!(names(&body), [pair("db", "firing"), pair("web", "resolved")]);
    assert_eq!(counted(&outbox, |counts| counts.sent == 1).await.replaced, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_told_twice_over_a_restart() {
    let inbox = Inbox::answering(&[Some(200)]);
    let (url, _serving) = inbox.serve().await;
    let webhook = hook(url, 3);
    let before = outbox([("people", webhook.clone())]);
    let mut watch = Watch::new(vec![queue_long()], &before);
    watch.queue("web", 0, 150.0);
    watch.alarms.tick(at(0));
    // It ends before anything was sent.
    let saved = serde_json::to_string(&watch.alarms.save()).unwrap();
    let after = outbox([("people", webhook)]);
    let mut watch = Watch::new(vec![queue_long()], &after);
    watch.queue("another", 1, 1.0);
    watch
        .alarms
        .restore(serde_json::from_str::<AlarmsState>(&saved).unwrap());
    let (_stop, _running) = run(&after);
    watch.queue("web", 2, 160.0);
    assert_eq!(watch.alarms.tick(at(2)).told, 0, "it was told to the outbox before");
    let body = inbox.bodies(1).await.remove(0);
    assert_eq!(names(&body), [pair("web", "firing")]);
    assert_eq!(body["alerts"][0]["startsAt"], "1970-01-01T00:00:00Z");
    watch.queue("web", 12, 1.0);
    watch.alarms.tick(at(12));
    assert_eq!(names(&inbox.bodies(2).await[1]), [pair("web", "resolved")]);
}

#[test]
fn groups_that_wait_are_bounded() {
    let nobody: HttpUrl = "http://127.0.0.1:9/hook".parse().unwrap();
    let outbox = outbox([("people", hook(nobody, 3))]);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    let each = Route::new("people").with_groups(&["job"], AT_ONCE);
    *watch.alarms.notifier_mut() = Notifier::new(each, Vec::new());
    for job in 0..300 {
        watch.queue(&format!("job{job}"), 0, 150.0);
    }
    assert_eq!(watch.alarms.tick(at(0)).told, 300);
    assert_eq!(outbox.unsent().len(), skyloom_runtime::alerting::GROUPS_QUEUED_MAX);
    assert_eq!(outbox.counts().given_up, 300 - 256);
}

#[test]
fn series_that_end_and_room_that_is_made_leave_alerts_in_place() {
    let outbox = outbox([]);
    let gatherer = Arc::new(Mutex::new(Gatherer::new(GatherConfig::new().with_sizes(10, 8))));
    let gone = Rule::new("Gone", vec![Matcher::equal("__name__", "queue")], Condition::Absent);
    let notifier = Notifier::new(Route::new("people"), Vec::new());
    let mut alarms = Alarms::new(Arc::clone(&gatherer), vec![gone], notifier, outbox).unwrap();
    let take = |job: &str, second| {
        let point = Point::new("queue", &[("job", job)], Kind::Gauge, at(second), 1.0);
        gatherer.lock().unwrap().take(vec![point], at(second)).taken
    };
    let firing = |alarms: &mut Alarms, second| {
        let alerts = alarms.tick(at(second)).alerts;
        let mut jobs: Vec<String> = alerts.iter().map(|a| a.labels.get("job").to_owned()).collect();
        jobs.sort();
        jobs
    };
    (0..9).for_each(|job| assert_eq!(take(&format!("old{job}"), 0), 1));
    assert_eq!(firing(&mut alarms, 299), Vec::<String>::new());
    assert_eq!(firing(&mut alarms, 301).len(), 9, "stale after five minutes");
    // An hour later they may be forgotten, but what fires stays until it has a value again.
    assert_eq!(take("new", 4000), 1);
    assert_eq!(firing(&mut alarms, 4000).len(), 9);
    assert_eq!(take("old3", 4001), 1);
    assert_eq!(
        firing(&mut alarms, 4001).iter().filter(|job| *job == "old3").count(),
        1,
        "resolved: told once more"
    );
    assert_eq!(firing(&mut alarms, 4002).len(), 8);
}

#[test]
fn a_rule_may_ask_what_is_to_come() {
    let outbox = outbox([]);
    let full = Condition::Forecast {
        ahead: Duration::from_secs(600),
        line: ForecastLine::Point,
        is: Comparison::Above,
        than: 130.0,
    };
    let rule = Rule::new("FullSoon", vec![Matcher::equal("__name__", "queue")], full);
    let mut watch = Watch::new(vec![rule], &outbox);
    for minute in 0..30 {
        watch.queue(
            "rising",
            minute * 60,
            2.0 * f64::from(i32::try_from(minute).unwrap()) + 30.0,
        );
        watch.queue("level", minute * 60, 40.0);
    }
    assert!(
        watch.alarms.tick(at(1740)).alerts.is_empty(),
        "88 now, 108 in ten minutes"
    );
    for minute in 30..45 {
        watch.queue(
            "rising",
            minute * 60,
            2.0 * f64::from(i32::try_from(minute).unwrap()) + 30.0,
        );
        watch.queue("level", minute * 60, 40.0);
    }
    let alerts = watch.alarms.tick(at(44 * 60)).alerts;
    let jobs: Vec<&str> = alerts.iter().map(|alert| alert.labels.get("job")).collect();
    assert_eq!(jobs, ["rising"], "118 now, 138 in ten minutes");
}

/// Remembers for which job it was asked.
#[derive(Debug, Clone, Default)]
struct Restart(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl OwnRemedy for Restart {
    fn action(&self) -> Action {
        Action::Apply
    }

    async fn act(&self, alert: &Alert) -> Result<(), String> {
        let job = alert.labels.get("job").to_owned();
        let is_good = job != "broken";
        self.0.lock().unwrap().push(job);
        if is_good {
            Ok(())
        } else {
            Err("it would not".to_owned())
        }
    }
}

fn alert_of(job: &str) -> Alert {
    let outbox = outbox([]);
    let mut watch = Watch::new(vec![queue_long()], &outbox);
    watch.queue(job, 0, 150.0);
    watch.alarms.tick(at(0)).alerts.remove(0)
}

fn audit(world: &World) -> String {
    let entries = std::fs::read_dir(world.folder.path()).unwrap().flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().contains("audit"));
    files
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn recoveries_are_proposed_or_pass_the_gate_and_leave_a_record() {
    let world = World::new(SimConfig::new(3, START));
    let role = |name: &str, actions: &[Action]| Role {
        name: name.parse().unwrap(),
        inherits: BTreeSet::new(),
        rules: vec![AccessRule::new(Effect::Allow, actions.iter().copied())],
    };
    let roles = [
        role("healer", &[Action::Heal, Action::Read]),
        role("all", &[Action::Apply, Action::Heal, Action::Read]),
    ];
    let authorizer = RoleSet::new(roles).unwrap();
    let sky = world
        .builder_in(world.folder.path())
        .authorizer(authorizer)
        .build()
        .unwrap();
    let healer = Principal::new("hal", ["healer".parse().unwrap()]);
    let owner = Principal::new("mira", ["all".parse().unwrap()]);
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &owner).await.unwrap();
    let mut events = sky.watch();
    let restart = Restart::default();
    let meant = || vec![Matcher::equal("alertname", "QueueLong")];
    let rest = Duration::from_secs(60);
    let own = || Remedy::Own(Arc::new(restart.clone()));
    let mut recoveries = Recoveries::new(vec![
        Recovery::new("look", meant(), Remedy::Heal),
        Recovery::new("heal", meant(), Remedy::Heal).triggered(rest),
        Recovery::new("restart", meant(), own()).triggered(rest),
    ]);
    let alerts = [alert_of("web")];
    let ended = |reactions: Vec<skyloom_runtime::alerting::Reaction>| {
        let of = |r: &skyloom_runtime::alerting::Reaction| (r.recovery.clone(), r.ended.clone());
        reactions.iter().map(of).collect::<Vec<_>>()
    };
    let first = ended(sky.react(&mut recoveries, &alerts, &healer).await);
    assert_eq!(
        first[..2],
        [("look".to_owned(), Ended::Proposed), ("heal".to_owned(), Ended::Done)]
    );
    assert!(
        matches!(&first[2].1, Ended::Denied(why) if why.contains("apply")),
        "{first:?}"
    );
    assert!(restart.0.lock().unwrap().is_empty(), "who may not does nothing");
    assert!(
        sky.react(&mut recoveries, &alerts, &owner).await.is_empty(),
        "answered once while it fires"
    );
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let told: Vec<String> = told
        .filter_map(|event| match event {
            Event::Reacted { recovery, .. } => Some(recovery),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["look", "heal", "restart"]);
    let trail = audit(&world);
    assert!(
        trail.contains("heal for QueueLong") && trail.contains("restart for QueueLong"),
        "{trail}"
    );
    // Another alert while the recoveries rest waits, and is answered afterwards.
    let both = [alert_of("web"), alert_of("broken")];
    let while_resting = ended(sky.react(&mut recoveries, &both, &owner).await);
    assert_eq!(while_resting, [("look".to_owned(), Ended::Proposed)]);
    tokio::time::sleep(rest).await;
    let later = ended(sky.react(&mut recoveries, &both, &owner).await);
    assert_eq!(later[0], ("heal".to_owned(), Ended::Done));
    assert!(
        matches!(&later[1].1, Ended::Failed(why) if why.contains("it would not")),
        "{later:?}"
    );
    sky.verify_audit(None).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_round_of_watching_samples_replicas_and_rules_see_them() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let runs = Condition::Value {
        is: Comparison::AtLeast,
        than: 0.0,
    };
    let select = vec![
        Matcher::equal("__name__", "replica_memory_bytes"),
        Matcher::equal("service", "worker"),
    ];
    let notifier = Notifier::new(Route::new("people"), Vec::new());
    let mut alarms = Alarms::new(
        sky.gatherer(),
        vec![Rule::new("Runs", select, runs)],
        notifier,
        outbox([]),
    )
    .unwrap();
    let heal = Recovery::new("heal", Vec::new(), Remedy::Heal).triggered(Duration::ZERO);
    let mut recoveries = Recoveries::new(vec![heal]);
    assert!(
        sky.watch_over(&mut alarms, &mut recoveries, &world.me).await.is_empty(),
        "counters are read first"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reactions = sky.watch_over(&mut alarms, &mut recoveries, &world.me).await;
    assert_eq!(reactions.len(), 2, "one for each worker: {reactions:?}");
}
