//! Creating: what a replica gets, what is refused, and that a refusal leaves nothing behind.

use std::net::TcpListener;

use skyloom_core::{Bytes, Class, Millicores, Resources};
use skyloom_provider::{Cause, CreateRequest, Driver as _, ResourceState};

use crate::support::{Fixture, STOP, command, environment, files, new_replica, port, replica_request, shell, with_env};

#[tokio::test]
async fn a_replica_sees_what_it_was_given_and_little_else() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let mut run = command(&["sleep", "1000"]); // a shell would add variables of its own
    run.ports = vec![port("http", 0), port("grpc-web", 0)];
    let request = with_env(
        replica_request(&machine, "t", run),
        &[("STORE", "memory"), ("SKYLOOM_HOST", "evil")],
    );
    let made = fixture.driver.create(&request).await.unwrap();
    assert_eq!(made.state, ResourceState::Running);
    assert_eq!((made.name.as_str(), &made.site), ("sample/0", &crate::support::site()));

    let pid = fixture.processes(Some(&made.id)).pop_first().unwrap();
    let seen = environment(pid);
    let number = |name: &str| made.endpoints[name].port().to_string();
    assert_eq!(seen["SKYLOOM_REPLICA"], "sample/0");
    assert_eq!(seen["SKYLOOM_HOST"], "127.0.0.1", "the driver's word is the last");
    assert_eq!(seen["SKYLOOM_PORT_HTTP"], number("http"));
    assert_eq!(seen["SKYLOOM_PORT_GRPC_WEB"], number("grpc-web"));
    assert_ne!(number("http"), number("grpc-web"));
    assert_eq!(seen["STORE"], "memory");
    let passed = ["PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "TZ", "STORE"];
    let stranger = seen
        .keys()
        .find(|name| !passed.contains(&name.as_str()) && !name.starts_with("SKYLOOM_"));
    assert_eq!(stranger, None, "nothing of the controller leaks in");
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(
        folder,
        fixture.root().join("things").join(made.id.as_str()).join("work")
    );
    fixture.close().await;
}

#[tokio::test]
async fn secrets_are_in_no_file_and_no_error() {
    const VALUE: &str = "hunter2-and-more";
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let secret = [("PASSWORD", VALUE)];
    let request = with_env(replica_request(&machine, "t", shell("exec sleep 1000")), &secret);
    let made = fixture.driver.create(&request).await.unwrap();
    assert!(!format!("{:?} {made:?} {request:?}", fixture.driver).contains(VALUE));

    let unknown = with_env(replica_request(&machine, "u", command(&["no-such-program"])), &secret);
    let unset = with_env(replica_request(&machine, "v", shell("true")), &[("A=B", VALUE)]);
    let torn = with_env(
        replica_request(&machine, "w", shell("true")),
        &[("A", "hunter2-and-more\0")],
    );
    for refused in [unknown, unset, torn] {
        let error = fixture.driver.create(&refused).await.unwrap_err();
        assert_eq!(error.class(), Class::Invalid);
        assert!(!format!("{error} {error:?}").contains(VALUE));
    }
    fixture
        .driver
        .stop(&made.id, STOP, crate::support::EPOCH)
        .await
        .unwrap();
    for file in files(fixture.root()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(VALUE), "{}", file.display());
    }
    fixture.close().await;
}

/// Asserts that the request is refused for that reason and that nothing of it is there.
async fn check_refused(fixture: &Fixture, request: &CreateRequest, expected: impl Fn(&Cause) -> bool) {
    let before = fixture.list().await;
    let error = fixture.driver.create(request).await.unwrap_err();
    assert!(expected(&error.cause), "{error}");
    assert_eq!(fixture.list().await, before, "after {error}");
    let found = fixture
        .driver
        .find_by_token(&request.owner, &request.token)
        .await
        .unwrap();
    assert_eq!(found, None, "after {error}");
    let live = before
        .iter()
        .filter(|thing| !fixture.processes(Some(&thing.id)).is_empty())
        .count();
    assert_eq!(fixture.processes(None).len(), live, "after {error}");
}

#[tokio::test]
async fn commands_that_cannot_start_are_refused_by_name() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let text = fixture.root().join("not-executable");
    std::fs::write(&text, "exit 0").unwrap();
    let alien = fixture.root().join("alien-format");
    std::fs::write(&alien, b"\x7fELF of another world").unwrap();
    std::fs::set_permissions(&alien, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for word in [
        "no-such-program",
        "/no/such/program",
        text.to_str().unwrap(),
        alien.to_str().unwrap(),
    ] {
        let request = replica_request(&machine, "t", command(&[word]));
        let named = |cause: &Cause| {
            *cause
                == Cause::CommandNotFound {
                    command: word.to_owned(),
                }
        };
        check_refused(&fixture, &request, named).await;
    }
    let huge = "x".repeat(4 << 20);
    for run in [
        command(&[]),
        command(&[""]),
        command(&["sh", "a\0b"]),
        command(&["sh", "-c", &huge]),
    ] {
        let request = replica_request(&machine, "t", run);
        check_refused(&fixture, &request, |cause| matches!(cause, Cause::Invalid { .. })).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_taken_port_is_refused_and_a_free_one_is_given() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = taken.local_addr().unwrap().port();
    let mut request = replica_request(&machine, "t", shell(crate::support::IDLE));
    new_replica(&mut request).spec.run.ports = vec![port("free", 0), port("http", number)];
    let in_use = |cause: &Cause| *cause == Cause::PortInUse { port: number };
    check_refused(&fixture, &request, in_use).await;

    drop(taken);
    let made = fixture.driver.create(&request).await.unwrap();
    assert_eq!(made.endpoints["http"].to_string(), format!("127.0.0.1:{number}"));
    let mut other = request.clone();
    other.token = "other".parse().unwrap();
    // Nobody listens there: the record alone keeps it.
    check_refused(&fixture, &other, in_use).await;
    fixture
        .driver
        .delete(&made.id, STOP, crate::support::EPOCH)
        .await
        .unwrap();
    assert!(
        fixture.driver.create(&other).await.is_ok(),
        "given back with its holder"
    );
    fixture.close().await;
}

#[tokio::test]
async fn port_names_that_mean_one_variable_are_refused() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    for names in [["a", "a"], ["a-b", "a_b"]] {
        let mut request = replica_request(&machine, "t", shell("true"));
        new_replica(&mut request).spec.run.ports = names.map(|name| port(name, 0)).to_vec();
        check_refused(&fixture, &request, |cause| matches!(cause, Cause::Invalid { .. })).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_machine_holds_what_fits_and_gets_it_back() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let sized = |token: &str, cores: u32, gib: u32| {
        let mut request = replica_request(&machine, token, shell("exec sleep 1000"));
        let size = Resources::new(Millicores::from_cores(cores), Bytes::from_gib(gib));
        new_replica(&mut request).spec.request = size;
        request
    };
    let first = fixture.driver.create(&sized("a", 5, 1)).await.unwrap();
    fixture.driver.create(&sized("b", 3, 1)).await.unwrap();
    let no_room = |cause: &Cause| matches!(cause, Cause::NoCapacity { .. });
    check_refused(&fixture, &sized("c", 1, 1), no_room).await;
    let mut absurd = sized("d", 0, 0);
    new_replica(&mut absurd).spec.request.memory = Bytes::MAX;
    check_refused(&fixture, &absurd, no_room).await;
    let error = fixture.driver.create(&sized("c", 1, 1)).await.unwrap_err();
    let machine_id = &machine.id;
    assert_eq!(
        error.to_string(),
        format!("create at `local` on `sample/0`: no capacity for `cpu on `{machine_id}``")
    );

    fixture
        .driver
        .delete(&first.id, STOP, crate::support::EPOCH)
        .await
        .unwrap();
    fixture.driver.create(&sized("e", 5, 1)).await.unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn a_replica_needs_the_machine_it_was_planned_for() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let replica = fixture.replica("t", crate::support::IDLE).await;

    let mut gone = replica_request(&machine, "u", shell("true"));
    new_replica(&mut gone).machine = "never-made".parse().unwrap();
    let error = fixture.driver.create(&gone).await.unwrap_err();
    assert_eq!(
        (error.cause, error.subject.as_deref()),
        (Cause::NotFound, Some("never-made"))
    );

    let invalid = |cause: &Cause| matches!(cause, Cause::Invalid { .. });
    let mut on_replica = replica_request(&machine, "u", shell("true"));
    new_replica(&mut on_replica).machine = replica.id;
    check_refused(&fixture, &on_replica, invalid).await;
    let mut elsewhere = replica_request(&machine, "u", shell("true"));
    new_replica(&mut elsewhere).spec.site.region = "gcp/europe-west3".parse().unwrap();
    check_refused(&fixture, &elsewhere, invalid).await;
    fixture.close().await;
}

#[test]
fn a_folder_that_cannot_be_made_is_a_typed_error() {
    use skyloom_provider_local::{LocalConfig, LocalProcesses, OpenError};
    let file = tempfile::NamedTempFile::new().unwrap();
    for root in [file.path().join("inside-a-file"), "/proc/skyloom".into()] {
        let error = LocalProcesses::open(LocalConfig::new(&root)).unwrap_err();
        assert!(
            matches!(&error, OpenError::Folder { path, .. } if path.starts_with(&root)),
            "{error:?}"
        );
        assert!(error.to_string().starts_with("use `"), "{error}");
    }
}
