//! What is said about bad manifests: the same in both formats, at the value that is wrong.

use skyloom_core::{Class, Manifest, ManifestErrorKind};

const BASE_TOML: &str = r#"version = 1
name = "x"
# top
[[service]]
name = "api"
resources = { cpu = 1, memory = "1GiB" }
run = { image = "i", ports = [{ name = "http" }, { name = "dns", protocol = "udp" }] }
# service
[[service]]
name = "store"
resources = { cpu = 1, memory = "1GiB" }
run = { image = "i" }
[[data]]
name = "orders"
replicas = ["aws/eu-west-1"]
# data
[[data]]
name = "store"
replicas = ["aws/eu-west-1"]
"#;

const BASE_YAML: &str = r#"version: 1
name: x
# top
service:
  - name: api
    resources: { cpu: 1, memory: 1GiB }
    run: { image: i, ports: [{ name: http }, { name: dns, protocol: udp }] }
    # service
  - name: store
    resources: { cpu: 1, memory: 1GiB }
    run: { image: i }
data:
  # their copies
  - name: orders
    replicas: [aws/eu-west-1]
    # data
  - name: store
    replicas: [aws/eu-west-1]
"#;

/// A change to the base that makes it bad: what is replaced and what by, in TOML and YAML; then the message and the
/// offending text, which both formats must give (in YAML's spelling, without quotes).
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// A key added to the service `api`.
const fn api(toml: &'static str, yaml: &'static str, message: &'static str, offending: &'static str) -> Row {
    Row("# service", toml, "# service", yaml, message, offending)
}

/// A key added to the data set `orders`.
const fn orders(toml: &'static str, yaml: &'static str, message: &'static str, offending: &'static str) -> Row {
    Row("# data", toml, "# data", yaml, message, offending)
}

/// A key added at the top.
const fn top(toml: &'static str, yaml: &'static str, message: &'static str, offending: &'static str) -> Row {
    Row("# top", toml, "# top", yaml, message, offending)
}

/// The API's `cpu = 1` replaced.
const fn cpu(toml: &'static str, yaml: &'static str, message: &'static str, offending: &'static str) -> Row {
    Row("cpu = 1", toml, "cpu: 1", yaml, message, offending)
}

/// The API's image and ports replaced by other keys of `run`.
const fn run(toml: &'static str, yaml: &'static str, message: &'static str, offending: &'static str) -> Row {
    Row("image = \"i\"", toml, "image: i", yaml, message, offending)
}

fn check(rows: &[Row]) {
    for Row(from_toml, to_toml, from_yaml, to_yaml, message, offending) in rows {
        let toml = BASE_TOML.replacen(from_toml, to_toml, 1);
        let yaml = BASE_YAML.replacen(from_yaml, to_yaml, 1);
        for (text, source) in [(toml, "x.toml"), (yaml, "x.yaml")] {
            let error = Manifest::parse(&text, source).expect_err(&text);
            assert_eq!(error.kind().to_string(), *message, "\n{error}\n");
            let shown = error.offending_text().replace(" = ", ": ").replace('"', "");
            assert_eq!(shown, *offending, "\n{error}\n");
            assert_eq!((error.class(), error.source_name()), (Class::Invalid, source));
        }
    }
}

#[test]
fn the_base_is_good() {
    for (text, source) in [(BASE_TOML, "x.toml"), (BASE_YAML, "x.yaml")] {
        assert!(Manifest::parse(text, source).is_ok());
    }
}

#[test]
fn keys_and_types() {
    check(&[
        api(
            "replica = 2",
            "replica: 2",
            "unknown key `replica`; did you mean `replicas`?",
            "replica",
        ),
        api("colour = 2", "colour: 2", "unknown key `colour`", "colour"),
        top(
            "services = []",
            "services: []",
            "unknown key `services`; did you mean `service`?",
            "services",
        ),
        top("budget = {}", "budget: {}", "missing key `usd_per_month`", "{}"),
        top("budget = 5", "budget: 5", "expected a table, found a number", "5"),
        top(
            "residency = {}",
            "residency: {}",
            "expected at least one of `allow`, `deny`",
            "{}",
        ),
        top(
            "residency.allow = \"EU\"",
            "residency: { allow: EU }",
            "expected a list, found text",
            "EU",
        ),
        Row(
            "version = 1",
            "version = 2",
            "version: 1",
            "version: 2",
            "unsupported version `2`: this program reads version 1",
            "2",
        ),
        Row(
            "version = 1",
            "version = \"1\"",
            "version: 1",
            "version: \"1\"",
            "expected a whole number, found text",
            "1",
        ),
        Row(
            "name = \"x\"",
            "name = 7",
            "name: x",
            "name: 7",
            "expected text, found a number",
            "7",
        ),
        Row(
            "name = \"x\"",
            "name = \"X Y\"",
            "name: x",
            "name: X Y",
            "cannot accept `X Y` as a service name: 1 to 63 of a-z, 0-9, - and _, not starting with - or _",
            "X Y",
        ),
        api(
            "replicas = true",
            "replicas: true",
            "expected a whole number, found a boolean",
            "true",
        ),
        api(
            "replicas = 1.5",
            "replicas: 1.5",
            "expected a whole number, found a number",
            "1.5",
        ),
        api(
            "labels = { a = 1 }",
            "labels: { a: 1 }",
            "expected text, found a number",
            "1",
        ),
        api(
            "purchase = \"sport\"",
            "purchase: sport",
            "cannot accept `sport`: expected one of `on-demand`, `spot`, `any`; did you mean `spot`?",
            "sport",
        ),
        api(
            "purchase = 1",
            "purchase: 1",
            "expected one of `on-demand`, `spot`, `any`, found a number",
            "1",
        ),
        api(
            "depends_on = \"store\"",
            "depends_on: store",
            "expected a list of services, or a table from service to condition, found text",
            "store",
        ),
    ]);
}

#[test]
fn quantities() {
    check(&[
        api(
            "replicas = 0",
            "replicas: 0",
            "cannot accept `0`: expected at least 1",
            "0",
        ),
        api(
            "replicas = -3",
            "replicas: -3",
            "cannot accept `-3`: a quantity may not be negative",
            "-3",
        ),
        api(
            "replicas = 99999999999",
            "replicas: 99999999999",
            "cannot hold `99999999999`: it is beyond the largest whole number",
            "99999999999",
        ),
        api(
            "replicas = 10001",
            "replicas: 10001",
            "too many replicas: the limit is 10000",
            "10001",
        ),
        cpu(
            "cpu = -1",
            "cpu: -1",
            "cannot accept `-1`: a quantity may not be negative",
            "-1",
        ),
        cpu("cpu = 0", "cpu: 0", "cannot accept `0`: expected more than 0", "0"),
        cpu(
            "cpu = \"two\"",
            "cpu: two",
            "cannot read the unit of `two`: expected one of `m` or no suffix",
            "two",
        ),
        cpu(
            "cpu = 0.0001",
            "cpu: 0.0001",
            "cannot hold `0.0001` exactly: the finest step is one millicore",
            "0.0001",
        ),
        cpu(
            "cpu = 99999999999999999999",
            "cpu: 99999999999999999999",
            "cannot hold `99999999999999999999`: it is beyond the largest millicore",
            "99999999999999999999",
        ),
        cpu(
            "cpu = [1]",
            "cpu: [1]",
            "expected cores, such as 2, `0.5` or `500m`, found a list",
            "[1]",
        ),
        top(
            "budget = { usd_per_month = -5 }",
            "budget: { usd_per_month: -5 }",
            "cannot accept `-5`: a quantity may not be negative",
            "-5",
        ),
        top(
            "revenue = { usd_per_hour = 1e30 }",
            "revenue: { usd_per_hour: 1e30 }",
            "cannot hold `1000000000000000000000000000000`: it is beyond the largest amount of money",
            "1e30",
        ),
        api(
            "stop.grace = \"5min\"",
            "stop: { grace: 5min }",
            "cannot read the unit of `5min`: expected one of ms, s, m, h, d",
            "5min",
        ),
        api(
            "stop.grace = \"-5s\"",
            "stop: { grace: -5s }",
            "cannot accept `-5s`: a quantity may not be negative",
            "-5s",
        ),
        api(
            "stop.grace = \"999999999d\"",
            "stop: { grace: 999999999d }",
            "cannot hold `999999999d`: it is beyond the largest duration",
            "999999999d",
        ),
        api(
            "stop.grace = 5",
            "stop: { grace: 5 }",
            "cannot read the unit of `5`: expected one of ms, s, m, h, d",
            "5",
        ),
        orders(
            "sync.lag_max = \"0s\"",
            "sync: { lag_max: 0s }",
            "cannot accept `0s`: expected more than 0",
            "0s",
        ),
        orders(
            "backup = { every = \"1d\", keep = \"1h\" }",
            "backup: { every: 1d, keep: 1h }",
            "cannot accept `1h`: expected at least as long as `every`",
            "1h",
        ),
    ]);
}

#[test]
fn names_that_name_nothing() {
    check(&[
        api(
            "depends_on = [\"stor\"]",
            "depends_on: [stor]",
            "unknown service `stor`; did you mean `store`?",
            "stor",
        ),
        api(
            "depends_on.z = \"started\"",
            "depends_on: { z: started }",
            "unknown service `z`",
            "z",
        ),
        api(
            "depends_on.store = \"ready\"",
            "depends_on: { store: ready }",
            "cannot accept `ready`: expected one of `started`, `healthy`, `completed`",
            "ready",
        ),
        api(
            "depends_on = [\"api\"]",
            "depends_on: [api]",
            "service `api` depends on itself",
            "api",
        ),
        api(
            "data = [\"order\"]",
            "data: [order]",
            "unknown data set `order`; did you mean `orders`?",
            "order",
        ),
        api(
            "anti_affinity = [\"apj\"]",
            "anti_affinity: [apj]",
            "unknown service `apj`; did you mean `api`?",
            "apj",
        ),
        api(
            "affinity = \"shop\"",
            "affinity: shop",
            "unknown service `shop`",
            "shop",
        ),
        api(
            "egress = { to = \"intranet\", per_month = \"1GB\" }",
            "egress: { to: intranet, per_month: 1GB }",
            "unknown service or data set `intranet`; did you mean `internet`?",
            "intranet",
        ),
        api(
            "egress = [{ to = \"store\", per_month = \"1GB\" }]",
            "egress: [{ to: store, per_month: 1GB }]",
            "`store` is a service and a data set: write `service.store` or `data.store`",
            "store",
        ),
        api(
            "latency = { to = \"internet\", max = \"1s\" }",
            "latency: { to: internet, max: 1s }",
            "cannot accept `internet`: expected a service or data set: nobody can bound the way to everywhere",
            "internet",
        ),
        api(
            "health.http.port = \"htp\"",
            "health: { http: { port: htp } }",
            "unknown port `htp`; did you mean `http`?",
            "htp",
        ),
        api(
            "health.tcp.port = \"dns\"",
            "health: { tcp: { port: dns } }",
            "cannot accept `dns`: expected a port with the protocol `tcp`",
            "dns",
        ),
        run(
            "image = \"i\", env.A = \"{service.stor.endpoints}\"",
            "image: i, env: { A: \"{service.stor.endpoints}\" }",
            "unknown service `stor`; did you mean `store`?",
            "{service.stor.endpoints}",
        ),
        run(
            "image = \"i\", env.A = \"{data.order}\"",
            "image: i, env: { A: \"{data.order}\" }",
            "unknown data set `order`; did you mean `orders`?",
            "{data.order}",
        ),
        run(
            "image = \"i\", env.A = \"{home}\"",
            "image: i, env: { A: \"{home}\" }",
            "cannot read `{home}`: a reference is `{service.NAME.endpoints}` or `{data.NAME}`",
            "{home}",
        ),
        run(
            "image = \"i\", env.A = \"{\"",
            "image: i, env: { A: \"{\" }",
            "cannot read the lone `{` of a template: a brace is written `{{`",
            "{",
        ),
        top(
            "residency.allow = [\"eu\"]",
            "residency: { allow: [eu] }",
            "cannot accept `eu` as a jurisdiction: 2 to 8 upper-case letters, such as EU, US, UK, CH",
            "eu",
        ),
        top(
            "residency.allow = []",
            "residency: { allow: [] }",
            "cannot accept `[]`: expected at least one jurisdiction",
            "[]",
        ),
        api(
            "regions = [\"eu-west-1\"]",
            "regions: [eu-west-1]",
            "cannot accept `eu-west-1` as a region key: cloud/region",
            "eu-west-1",
        ),
        api(
            "regions = [1]",
            "regions: [1]",
            "expected `cloud/region`, or a table with the keys `cloud` and `region`, found a number",
            "1",
        ),
    ]);
}

#[test]
fn duplicates() {
    check(&[
        Row(
            "\"store\"",
            "\"api\"",
            "name: store",
            "name: api",
            "duplicate service `api` (first at line 5)",
            "api",
        ),
        api(
            "depends_on = [\"store\", \"store\"]",
            "depends_on: [store, store]",
            "duplicate dependency `store` (first at line 8)",
            "store",
        ),
        api(
            "data = [\"orders\", \"orders\"]",
            "data: [orders, orders]",
            "duplicate data set `orders` (first at line 8)",
            "orders",
        ),
        api(
            "spread = [{ over = \"zone\" }, { over = \"zone\" }]",
            "spread: [{ over: zone }, { over: zone }]",
            "duplicate rule of spreading over `zone` (first at line 8)",
            "{ over: zone }",
        ),
        Row(
            "\"dns\"",
            "\"http\"",
            "name: dns",
            "name: http",
            "duplicate port `http` (first at line 7)",
            "http",
        ),
        Row(
            "name = \"http\"",
            "name = \"http\", port = 80 }, { name = \"b\", port = 80",
            "name: http",
            "name: http, port: 80 }, { name: b, port: 80",
            "duplicate port number `80/tcp` (first at line 7)",
            "80",
        ),
        orders(
            "[[data]]\nname = \"orders\"\nreplicas = [\"aws/x\"]",
            "\n  - name: orders\n    replicas: [aws/x]",
            "duplicate data set `orders` (first at line 14)",
            "orders",
        ),
        Row(
            "[\"aws/eu-west-1\"]",
            "[\"aws/a\", { cloud = \"aws\", region = \"a\" }]",
            "[aws/eu-west-1]",
            "[aws/a, { cloud: aws, region: a }]",
            "duplicate copy in `aws/a` (first at line 15)",
            "{ cloud: aws, region: a }",
        ),
    ]);
}

#[test]
fn what_is_run_and_how() {
    check(&[
        run(
            "image = \"\"",
            "image: \"\"",
            "cannot accept ``: expected an image reference without spaces",
            "",
        ),
        run(
            "command = []",
            "command: []",
            "cannot accept `[]`: expected a program and its arguments",
            "[]",
        ),
        run(
            "image = \"i\", env.\"A=B\" = \"1\"",
            "image: i, env: { A=B: \"1\" }",
            "cannot accept `A=B`: expected the name of an environment variable: not empty, without `=` and NUL",
            "1",
        ),
        run(
            "image = \"i\", env.A = true",
            "image: i, env: { A: true }",
            "expected text, a number, or a table with the key `secret`, found a boolean",
            "true",
        ),
        api(
            "health = { exec = [\"a\"], tcp = { port = \"http\" } }",
            "health: { exec: [a], tcp: { port: http } }",
            "expected exactly one of `http`, `tcp`, `exec`",
            "{ exec: [a], tcp: { port: http } }",
        ),
        api(
            "health.http = { port = \"http\", path = \"x\" }",
            "health: { http: { port: http, path: x } }",
            "cannot accept `x`: expected a path beginning with `/`, of printable ASCII without spaces",
            "x",
        ),
        api(
            "rollout = { max_unavailable = 0, max_surge = 0 }",
            "rollout: { max_unavailable: 0, max_surge: 0 }",
            "expected `max_unavailable` or `max_surge` above 0: with neither nothing can be replaced",
            "{ max_unavailable: 0, max_surge: 0 }",
        ),
        api(
            "rollout = { steps = [{ replicas = 1 }] }",
            "rollout: { steps: [{ replicas: 1 }] }",
            "expected the strategy `canary` beside `steps`",
            "{ replicas: 1 }",
        ),
        api(
            "rollout = { strategy = \"canary\", steps = [{ replicas = \"101%\" }] }",
            "rollout: { strategy: canary, steps: [{ replicas: \"101%\" }] }",
            "cannot accept `101%`: expected a number of replicas from 1, or a part from `1%` to `100%`",
            "101%",
        ),
        api(
            "replicas = 4\nrollout = { strategy = \"canary\", steps = [{ replicas = 2 }, { replicas = \"25%\" }] }",
            "replicas: 4\n    rollout: { strategy: canary, steps: [{ replicas: 2 }, { replicas: \"25%\" }] }",
            "cannot accept `25%`: expected at least as many replicas as the step before, 2",
            "25%",
        ),
        api(
            "rollout = { analysis = { metric = \"e\", below = 1, for = \"1m\" } }",
            "rollout: { analysis: { metric: e, below: 1, for: 1m } }",
            "expected the strategy `canary` or `blue-green` beside `analysis`",
            "{ metric: e, below: 1, for: 1m }",
        ),
        api(
            "rollout = { strategy = \"canary\", analysis = { metric = \"e\", for = \"1m\" } }",
            "rollout: { strategy: canary, analysis: { metric: e, for: 1m } }",
            "expected exactly one of `below`, `above`",
            "{ metric: e, for: 1m }",
        ),
        api(
            "rollout = { strategy = \"canary\", analysis = { metric = \"e\", above = 1, for = \"1s\", interval = \"2s\" } }",
            "rollout: { strategy: canary, analysis: { metric: e, above: 1, for: 1s, interval: 2s } }",
            "cannot accept `2s`: expected not longer than `for`",
            "2s",
        ),
        api(
            "rollout = { keep = \"1m\" }",
            "rollout: { keep: 1m }",
            "expected the strategy `blue-green` beside `keep`",
            "1m",
        ),
        api(
            "drift = { env = \"maybe\" }",
            "drift: { env: maybe }",
            "cannot accept `maybe`: expected one of `correct`, `report`, `ignore`",
            "maybe",
        ),
        Row(
            "name = \"http\"",
            "name = \"http\", port = 65536",
            "name: http",
            "name: http, port: 65536",
            "cannot accept `65536`: expected a port number in 1..=65535",
            "65536",
        ),
    ]);
}

#[test]
fn nul_cannot_be_started() {
    let toml = BASE_TOML.replacen("image = \"i\"", "command = [\"a\\u0000b\"]", 1);
    let yaml = BASE_YAML.replacen("image: i", "command: [\"a\\0b\"]", 1);
    for (text, source) in [(toml, "x.toml"), (yaml, "x.yaml")] {
        let error = Manifest::parse(&text, source).unwrap_err();
        assert_eq!(
            error.kind().to_string(),
            "cannot accept `a\\0b`: expected text without NUL"
        );
    }
}

#[test]
fn what_may_be_a_secret_is_not_shown() {
    let toml = BASE_TOML.replacen("image = \"i\"", "image = \"i\", env.A = { secret = \"hunter2\" }", 1);
    let yaml = BASE_YAML.replacen("image: i", "image: i, env: { A: { secret: hunter2 } }", 1);
    for (text, source) in [(toml, "x.toml"), (yaml, "x.yaml")] {
        let error = Manifest::parse(&text, source).unwrap_err();
        assert_eq!(error.kind(), &ManifestErrorKind::BadSecret);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

fn rendered(text: &str, source: &str) -> String {
    Manifest::parse(text, source).unwrap_err().to_string()
}

#[test]
fn an_error_shows_file_line_column_and_the_offending_text() {
    let toml = BASE_TOML.replacen("# service", "  replica = 2 # two", 1);
    insta::assert_snapshot!(rendered(&toml, "shop.toml"), @r#"
    parse `shop.toml`: line 8, column 3: unknown key `replica`; did you mean `replicas`?
      |
    8 |   replica = 2 # two
      |   ^^^^^^^
    "#);
    let yaml = BASE_YAML.replacen("memory: 1GiB", "memory: -1GiB", 1);
    insta::assert_snapshot!(rendered(&yaml, "deploy/shop.yaml"), @r#"
    parse `deploy/shop.yaml`: line 6, column 34: cannot accept `-1GiB`: a quantity may not be negative
      |
    6 |     resources: { cpu: 1, memory: -1GiB }
      |                                  ^^^^^
    "#);
    insta::assert_snapshot!(rendered("version = 1\nname = \"x\n", "shop.toml"), @r#"
    parse `shop.toml`: line 2, column 10: bad TOML: invalid basic string, expected `"`
      |
    2 | name = "x
      |          ^
    "#);
    insta::assert_snapshot!(rendered("version: 1\nname: [x\n", "shop.yaml"), @r#"
    parse `shop.yaml`: line 3, column 1: bad YAML: while parsing a flow sequence, expected ',' or ']'
      |
    3 |
      | ^
    "#);
    insta::assert_snapshot!(rendered("", "shop.toml"), @r#"
    parse `shop.toml`: line 1, column 1: missing key `version`
      |
    1 |
      | ^
    "#);
    insta::assert_snapshot!(rendered("version = 1\nname = \"x\"\nname = \"y\"\n", "shop.toml"), @r#"
    parse `shop.toml`: line 3, column 1: duplicate key `name`
      |
    3 | name = "y"
      | ^^^^
    "#);
    insta::assert_snapshot!(rendered("version: 1\nname: x\nname: y\n", "shop.yaml"), @r#"
    parse `shop.yaml`: line 3, column 1: duplicate key `name` (first at line 2)
      |
    3 | name: y
      | ^^^^
    "#);
}

#[test]
fn what_only_yaml_has_is_refused() {
    let rows = [
        (
            "version: !!int 1\n",
            "the tag `tag:yaml.org,2002:!int` may not stand in a manifest",
        ),
        (
            "version: 1\n---\nversion: 1\n",
            "a second YAML document may not stand in a manifest",
        ),
        ("[a]: 1\n", "a list as a key may not stand in a manifest"),
        (
            "version: 1\nname: x\nresidency:\nservice: []\n",
            "expected a table, found nothing",
        ),
        ("version: 1\nname: x\nbase: &b {}\n<<: *b\n", "unknown key `base`"),
    ];
    for (text, message) in rows {
        let error = Manifest::parse(text, "x.yaml").unwrap_err();
        assert_eq!(error.kind().to_string(), message, "{error}");
    }
}

#[test]
fn an_empty_deployment_is_a_mistake() {
    for (text, source) in [
        ("version = 1\nname = \"x\"\n", "x.toml"),
        ("version: 1\nname: x\nservice: []\n", "x.yaml"),
    ] {
        let error = Manifest::parse(text, source).unwrap_err();
        assert_eq!(error.kind(), &ManifestErrorKind::MissingKey { key: "service" });
    }
}
