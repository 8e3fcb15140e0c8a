//! Exporters, pages, hosts, containers and log lines: what comes in as text or files, and what is made of it.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use proptest::prelude::*;
use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::Timestamp;
use skyloom_runtime::sources::{
    CgroupStats, ExpositionError, GatherConfig, Gatherer, Kind, Point, Refusal, ScrapeError, Scraper, parse_exposition,
};
use skyloom_runtime::{Adaptive, HttpError, HttpUrl};

const fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

/// The example of Prometheus' documentation of its text format, with a label that holds everything that is escaped.
const PAGE: &str = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="0.1"} 33444
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.5"} 4773
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"#;

#[test]
fn a_page_of_the_documentation_is_read_as_it_says() {
    let points = parse_exposition(PAGE, at(7)).unwrap();
    let shown = |point: &Point| {
        (
            point.labels.get(METRIC_NAME).to_owned(),
            point.kind,
            point.value,
            point.at,
        )
    };
    let rows: Vec<_> = points.iter().map(shown).collect();
    let posted = Timestamp::from_micros(1_395_066_363_000_000);
    let expected = [
        ("http_requests_total", Kind::Counter, 1027.0, posted),
        ("http_requests_total", Kind::Counter, 3.0, posted),
        ("msdos_file_access_time_seconds", Kind::Gauge, 1.458_255_915e9, at(7)),
        ("metric_without_timestamp_and_labels", Kind::Gauge, 12.47, at(7)),
        (
            "something_weird",
            Kind::Gauge,
            f64::INFINITY,
            Timestamp::from_micros(-3_982_045_000),
        ),
        ("http_request_duration_seconds_bucket", Kind::Counter, 24054.0, at(7)),
        ("http_request_duration_seconds_bucket", Kind::Counter, 33444.0, at(7)),
        ("http_request_duration_seconds_bucket", Kind::Counter, 144_320.0, at(7)),
        ("http_request_duration_seconds_sum", Kind::Counter, 53423.0, at(7)),
        ("http_request_duration_seconds_count", Kind::Counter, 144_320.0, at(7)),
        ("rpc_duration_seconds", Kind::Gauge, 4773.0, at(7)),
        ("rpc_duration_seconds_sum", Kind::Counter, 1.756_047_3e7, at(7)),
        ("rpc_duration_seconds_count", Kind::Counter, 2693.0, at(7)),
    ];
    assert_eq!(
        rows,
        expected.map(|(name, kind, value, at)| (name.to_owned(), kind, value, at))
    );
    assert_eq!(points[2].labels.get("error"), "Cannot find file:\n\"FILE.TXT\"");
    assert_eq!(points[2].labels.get("path"), r"C:\DIR\FILE.TXT");
}

#[test]
fn open_metrics_counts_time_in_seconds_and_may_have_exemplars() {
    let page = "# TYPE served counter\nserved_total{code=\"200\"} 17 1520879607.789 # {trace=\"a # b\"} 0.67\n\
                {\"a.name\",where=\"here\"} 3\n# EOF\n";
    let points = parse_exposition(page, at(7)).unwrap();
    assert_eq!((points[0].kind, points[0].value), (Kind::Counter, 17.0));
    assert_eq!(points[0].at, Timestamp::from_micros(1_520_879_607_789_000));
    assert_eq!(
        (points[1].labels.get(METRIC_NAME), points[1].labels.get("where")),
        ("a.name", "here")
    );
}

#[test]
fn a_broken_line_refuses_the_page_and_is_named() {
    let rows = [
        "up",
        "up one",
        "up 1 2 3",
        "1up 1",
        "up{job=\"web\" 1",
        "up{job=\"web} 1",
        "up{job=web} 1",
        "up{job} 1",
        "up{a=\"1\",a=\"2\"} 1",
        "up{a=\"1\"b=\"2\"} 1",
        "{} 1",
        "up{__name__=\"x\"} 1",
        "# TYPE",
        "up{=\"x\"} 1",
    ];
    for row in rows {
        let page = format!("good 1\n{row}\nother 2\n");
        let error = parse_exposition(&page, at(0)).unwrap_err();
        assert!(
            matches!(error, ExpositionError::Line { line: 2, .. }),
            "`{row}`: {error}"
        );
    }
}

proptest! {
    /// Names, labels and values come back as they were written, whatever characters they hold.
    #[test]
    fn what_is_written_is_read(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        labels in proptest::collection::btree_map("[a-zA-Z][a-zA-Z0-9_]{0,8}", "\\PC{0,12}|[\\\\\"\n]{1,4}", 0..5),
        value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::INFINITE,
        millis in -1_000_000_000_000_i64..4_000_000_000_000,
    ) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let page = format!("{name}{{{}}} {value:?} {millis}\n", pairs.join(","));
        let points = parse_exposition(&page, at(0)).unwrap();
        let expected: Labels = labels.into_iter().collect();
        prop_assert_eq!(&points[0].labels, &expected.with(METRIC_NAME, name));
        prop_assert_eq!(points[0].value.to_bits(), value.to_bits());
        prop_assert_eq!(points[0].at, Timestamp::from_micros(millis * 1000));
    }

    /// No text makes it panic, and an error names a line that is there.
    #[test]
    fn any_text_is_read_or_refused(page in "\\PC{0,200}|[a-z{}\"=,\\\\# \n0-9.]{0,120}") {
        if let Err(ExpositionError::Line { line, .. }) = parse_exposition(&page, at(0)) {
            prop_assert!((1..=page.lines().count()).contains(&line));
        }
    }

    /// Nothing that is gathered is ever NaN or infinite, and bounds hold, whatever comes in.
    #[test]
    fn whatever_comes_in_bounds_hold_and_no_nan_comes_out(
        rows in proptest::collection::vec((0_u8..6, 0_i64..40, proptest::num::f64::ANY, 0_u8..3), 0..120),
    ) {
        let mut gatherer = Gatherer::new(GatherConfig::new().with_sizes(4, 8));
        for (name, second, value, kind) in rows {
            let kind = [Kind::Gauge, Kind::Counter, Kind::Delta][usize::from(kind)];
            let point = Point::new(&format!("s{name}"), &[], kind, at(second), value);
            gatherer.take(vec![point], at(40));
        }
        prop_assert!(gatherer.len() <= 4);
        for (_, series) in gatherer.all() {
            prop_assert!(series.samples().len() <= 9);
            prop_assert!(series.samples().iter().all(|sample| sample.value.is_finite()));
        }
    }
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let mut gatherer = Gatherer::new(GatherConfig::new().with_sizes(1, 8));
    let gauge = |name: &str, second, value| Point::new(name, &[], Kind::Gauge, at(second), value);
    let long = "x".repeat(5000);
    let batch = vec![
        gauge("a", 0, 1.0),
        gauge("a", 0, 2.0),
        gauge("a", 1, f64::INFINITY),
        gauge("a", 100_000, 1.0),
        gauge("b", 0, 1.0),
        gauge(&long, 0, 1.0),
        gauge("", 0, 1.0),
    ];
    let intake = gatherer.take(batch, at(0));
    assert_eq!((intake.taken, intake.refused()), (1, 6));
    let counted = [
        (Refusal::NoRoom, 1),
        (Refusal::Labels, 2),
        (Refusal::NotFinite, 1),
        (Refusal::NotLater, 1),
        (Refusal::Ahead, 1),
    ];
    assert_eq!(intake.refused, counted.into_iter().collect());
}

#[test]
fn a_flat_series_is_kept_sparsely_within_its_stated_error() {
    let sampling = Adaptive::new(0.02, Duration::from_secs(1)).unwrap();
    let mut gatherer = Gatherer::new(GatherConfig::new().with_sampling(sampling));
    let value = |second: i64| 100.0 + if second % 2 == 0 { 0.5 } else { 0.0 };
    let mut kept = 0;
    for second in 0..1000 {
        let point = Point::new("flat", &[], Kind::Gauge, at(second), value(second));
        kept += gatherer.take(vec![point], at(second)).kept;
    }
    assert!(kept < 100, "{kept} of 1,000 kept");
    let (labels, series) = gatherer.all().next().unwrap();
    let bound = gatherer.error_bound(labels).unwrap();
    assert!((bound - 2.0).abs() < 0.1, "two in a hundred of 100: {bound}");
    // Holding each kept value until the next is never further off than that.
    for pair in series.samples().windows(2) {
        let mut between = pair[0].at;
        while between < pair[1].at {
            let second = between.as_micros() / 1_000_000;
            assert!((value(second) - pair[0].value).abs() <= bound);
            between = between.saturating_add(Duration::from_secs(1));
        }
    }
    assert_eq!(
        gatherer.reading(labels, at(999)),
        Some(value(999)),
        "rules see every value"
    );
}

#[test]
fn a_silent_series_is_stale_and_then_makes_room() {
    let patience = (Duration::from_secs(60), Duration::from_secs(600));
    let config = GatherConfig::new()
        .with_sizes(10, 8)
        .with_patience(patience.0, patience.1);
    let mut gatherer = Gatherer::new(config);
    let gauge = |name: &str, second| vec![Point::new(name, &[], Kind::Gauge, at(second), 1.0)];
    gatherer.take(gauge("old", 0), at(0));
    let old = Labels::default().with(METRIC_NAME, "old");
    assert_eq!(gatherer.reading(&old, at(60)), Some(1.0));
    assert_eq!(gatherer.reading(&old, at(61)), None);
    gatherer.end(&old);
    assert_eq!(
        gatherer.reading(&old, at(1)),
        None,
        "one that has ended has no value at once"
    );
}

async fn serve(router: Router) -> HttpUrl {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/metrics").parse().unwrap()
}

fn reading(gatherer: &Mutex<Gatherer>, name: &str, now: i64) -> Option<f64> {
    let gatherer = gatherer.lock().unwrap();
    let found = gatherer.all().find(|(labels, _)| labels.get(METRIC_NAME) == name);
    gatherer.reading(&found?.0.clone(), at(now))
}

#[tokio::test]
async fn an_exporter_is_scraped_and_what_it_stops_showing_ends() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let turn = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&turn);
    let page = move || {
        let turn = counted.fetch_add(1, Ordering::SeqCst);
        let served = 100 * turn;
        let gone = if turn < 2 { "queue 4\n" } else { "" };
        async move { format!("# TYPE served_total counter\nserved_total {served}\n{gone}job{{job=\"x\"}} 1\n") }
    };
    let url = serve(Router::new().route("/metrics", get(page))).await;
    let gatherer = Mutex::new(Gatherer::new(GatherConfig::new()));
    let mut scraper = Scraper::new("web", url.clone());
    for second in [0, 10] {
        scraper.scrape(&gatherer, at(second)).await.unwrap();
    }
    assert_eq!(reading(&gatherer, "served_total:rate", 10), Some(10.0));
    assert_eq!(reading(&gatherer, "queue", 10), Some(4.0));
    assert_eq!(reading(&gatherer, "up", 10), Some(1.0));
    scraper.scrape(&gatherer, at(20)).await.unwrap();
    assert_eq!(reading(&gatherer, "queue", 20), None);
    let own = {
        let gatherer = gatherer.lock().unwrap();
        let found = gatherer
            .all()
            .find(|(labels, _)| labels.get(METRIC_NAME) == "job")
            .unwrap();
        found.0.clone()
    };
    let shown = (own.get("job"), own.get("exported_job"), own.get("instance"));
    assert_eq!(shown, ("web", "x", url.instance().as_str()));
}

#[tokio::test]
async fn an_exporter_that_fails_is_down_and_its_series_end() {
    let bad = [
        ("broken", axum::http::StatusCode::OK, "up{"),
        ("failing", axum::http::StatusCode::INTERNAL_SERVER_ERROR, ""),
    ];
    for (what, status, page) in bad {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        let fails = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&fails);
        let answer = move || {
            let fails = asked.load(Ordering::SeqCst);
            async move {
                if fails {
                    (status, page)
                } else {
                    (axum::http::StatusCode::OK, "queue 4\n")
                }
            }
        };
        let url = serve(Router::new().route("/metrics", get(answer))).await;
        let gatherer = Mutex::new(Gatherer::new(GatherConfig::new()));
        let mut scraper = Scraper::new("web", url);
        scraper.scrape(&gatherer, at(0)).await.unwrap();
        fails.store(true, Ordering::SeqCst);
        assert!(scraper.scrape(&gatherer, at(10)).await.is_err(), "{what}");
        assert_eq!(reading(&gatherer, "up", 10), Some(0.0), "{what}");
        assert_eq!(reading(&gatherer, "queue", 10), None, "{what}");
    }
}

#[tokio::test]
async fn an_exporter_that_hangs_or_is_away_is_a_typed_error() {
    let forever = || async { std::future::pending::<&'static str>().await };
    let url = serve(Router::new().route("/metrics", get(forever))).await;
    let gatherer = Mutex::new(Gatherer::new(GatherConfig::new()));
    let mut scraper = Scraper::new("web", url).with_within(Duration::from_millis(50));
    let error = scraper.scrape(&gatherer, at(0)).await.unwrap_err();
    assert!(
        matches!(error, ScrapeError::Http(HttpError::TimedOut { .. })),
        "{error}"
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let mut scraper = Scraper::new("web", format!("http://{nobody}/").parse().unwrap());
    let error = scraper.scrape(&gatherer, at(1)).await.unwrap_err();
    assert!(matches!(error, ScrapeError::Http(HttpError::Connect { .. })), "{error}");
    assert!(error.class().is_retryable());
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn shown(points: &[Point]) -> Vec<(String, f64)> {
    let of = |point: &Point| (point.labels.get(METRIC_NAME).to_owned(), point.value);
    points.iter().map(of).collect()
}

#[test]
fn both_versions_of_control_groups_tell_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("two/pod"),
        &[
            ("cgroup.procs", "1\n"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 1\nthrottled_usec 500000\n"),
            ("memory.current", "1048576\n"),
            ("memory.max", "2097152\n"),
            (
                "io.stat",
                "8:0 rbytes=100 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2\n",
            ),
        ],
    );
    write(
        &folder.path().join("one"),
        &[
            ("cpuacct/pod/cpuacct.usage", "2500000000\n"),
            (
                "cpu/pod/cpu.stat",
                "nr_periods 9\nnr_throttled 1\nthrottled_time 500000000\n",
            ),
            ("memory/pod/memory.usage_in_bytes", "1048576\n"),
            ("memory/pod/memory.limit_in_bytes", "2097152\n"),
            (
                "blkio/pod/blkio.throttle.io_service_bytes",
                "8:0 Read 101\n8:0 Write 22\n8:0 Total 123\nTotal 123\n",
            ),
        ],
    );
    let expected = [
        ("container_cpu_seconds_total", 2.5),
        ("container_throttled_seconds_total", 0.5),
        ("container_memory_bytes", 1_048_576.0),
        ("container_memory_limit_bytes", 2_097_152.0),
        ("container_disk_read_bytes_total", 101.0),
        ("container_disk_written_bytes_total", 22.0),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    for version in ["one", "two"] {
        let stats = CgroupStats::find("shop", folder.path().join(version), "pod").unwrap();
        assert_eq!(shown(&stats.read(at(0)).unwrap()), expected, "version {version}");
    }
}

#[test]
fn limits_that_are_none_are_left_out_and_broken_files_named() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("cgroup.procs", ""),
            ("cpu.stat", "usage_usec 1\n"),
            ("memory.max", "max\n"),
        ],
    );
    let stats = CgroupStats::find("shop", folder.path(), "").unwrap();
    assert_eq!(
        shown(&stats.read(at(0)).unwrap()),
        [("container_cpu_seconds_total".to_owned(), 1e-6)]
    );
    write(folder.path(), &[("memory.current", "many\n")]);
    let error = stats.read(at(0)).unwrap_err();
    assert!(error.to_string().contains("memory.current"), "{error}");
    assert!(CgroupStats::find("shop", folder.path(), "elsewhere").is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_host_is_read_from_the_files_of_its_kernel() {
    use skyloom_runtime::sources::HostStats;
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "stat",
            "cpu  100 0 50 850 0 0 0 0 0 0\ncpu0 100 0 50 850 0 0 0 0 0 0\nctxt 1\nbtime 1\nprocesses 1\n",
        ),
        ("loadavg", "0.50 0.10 0.05 1/100 1\n"),
        (
            "meminfo",
            "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 1 kB\nCached: 1 kB\nSwapCached: 0 kB\nActive: 1 kB\nInactive: 1 kB\nSwapTotal: 20 kB\nSwapFree: 10 kB\nDirty: 0 kB\nWriteback: 0 kB\nMapped: 0 kB\nSlab: 0 kB\nVmallocTotal: 1 kB\nVmallocUsed: 0 kB\nVmallocChunk: 0 kB\nCommitted_AS: 1 kB\n",
        ),
        ("diskstats", "   8       0 sda 10 0 16 5 4 0 8 5 0 2000 10 0 0 0 0\n"),
        (
            "net/dev",
            "Inter-| Receive | Transmit\n face |bytes packets\n  lo: 7 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n",
        ),
    ];
    write(folder.path(), &files);
    let stats = HostStats::new()
        .with_proc(folder.path())
        .with_file_systems(vec![folder.path().to_owned()]);
    let points = stats.read(at(0)).unwrap();
    let value = |name: &str, label: (&str, &str)| {
        let mut found = points
            .iter()
            .filter(|p| p.labels.get(METRIC_NAME) == name && p.labels.get(label.0) == label.1);
        found.next().map(|point| point.value)
    };
    assert_eq!(value("host_cpu_seconds_total", ("mode", "user")), Some(1.0));
    assert_eq!(value("host_cpu_seconds_total", ("mode", "idle")), Some(8.5));
    assert_eq!(value("host_memory_available_bytes", ("", "")), Some(409_600.0));
    assert_eq!(value("host_swap_used_bytes", ("", "")), Some(10_240.0));
    assert_eq!(value("host_disk_read_bytes_total", ("device", "sda")), Some(8192.0));
    assert_eq!(value("host_disk_written_bytes_total", ("device", "sda")), Some(4096.0));
    assert_eq!(value("host_network_sent_bytes_total", ("device", "lo")), Some(9.0));
    assert!(value("host_filesystem_size_bytes", ("", "")).is_some_and(|bytes| bytes > 0.0));
    fs::remove_file(folder.path().join("meminfo")).unwrap();
    assert!(stats.read(at(0)).unwrap_err().to_string().contains("meminfo"));
}
