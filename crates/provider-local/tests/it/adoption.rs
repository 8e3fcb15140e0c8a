//! A second driver on the same folder, after the first or beside it.

use rustix::process::Signal;
use skyloom_provider::{Cause, Driver as _, Epoch, ResourceState};

use crate::support::{
    EPOCH, Fixture, IDLE, STOP, kill, machine_request, open, owner, port, replica_request, shell, until, with_env,
};

#[tokio::test]
async fn a_second_driver_takes_over_what_runs() {
    let mut fixture = Fixture::new();
    let machine = fixture.machine().await;
    let mut run = shell("echo $TOPIC; exec sleep 1000");
    run.ports = vec![port("http", 0)];
    let request = with_env(replica_request(&machine, "t", run), &[("TOPIC", "kept")]);
    let made = fixture.driver.create(&request).await.unwrap();
    let before = fixture.processes(None);

    fixture.reopen();
    assert_eq!(fixture.driver.get(&made.id).await.unwrap(), made);
    let found = fixture.driver.find_by_token(&owner(), &request.token).await.unwrap();
    assert_eq!(found.as_ref(), Some(&made));
    assert_eq!(fixture.driver.create(&request).await.unwrap(), made, "the same again");
    assert_eq!(fixture.processes(None), before, "nothing was started or ended");
    assert!(fixture.driver.usage(&made.id).await.unwrap().network_in.is_some());

    fixture.until_printed(&made.id, "kept").await;
    // A stop reads the environment back, so that a start can give it again.
    fixture.driver.stop(&made.id, STOP, EPOCH).await.unwrap();
    fixture.driver.start(&made.id, EPOCH).await.unwrap();
    until("both runs", async || {
        (fixture.driver.logs(&made.id, 9).await.unwrap() == ["kept", "kept"]).then_some(())
    })
    .await;
    fixture.close().await;
}

#[tokio::test]
async fn a_stopped_replica_whose_environment_died_with_its_controller_says_so() {
    let mut fixture = Fixture::new();
    let replica = fixture.replica("t", IDLE).await;
    fixture.driver.stop(&replica.id, STOP, EPOCH).await.unwrap();
    fixture.reopen();
    assert_eq!(
        fixture.driver.get(&replica.id).await.unwrap().state,
        ResourceState::Stopped
    );
    let error = fixture.driver.start(&replica.id, EPOCH).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Invalid { .. }), "{error}");
    fixture.close().await;
}

#[tokio::test]
async fn two_drivers_at_once_see_one_world() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let other = open(fixture.root());
    let requests: Vec<_> = (0..4)
        .map(|i| replica_request(&machine, &format!("t{i}"), shell(IDLE)))
        .collect();
    let mut answers = Vec::new();
    for request in &requests {
        for driver in [fixture.driver.clone(), other.clone()] {
            let request = request.clone();
            answers.push(tokio::spawn(async move { driver.create(&request).await.unwrap().id }));
        }
    }
    for pair in answers.chunks_mut(2) {
        let (one, two) = pair.split_at_mut(1);
        assert_eq!(
            (&mut one[0]).await.unwrap(),
            (&mut two[0]).await.unwrap(),
            "one token, one thing"
        );
    }
    assert_eq!(fixture.processes(None).len(), 4);
    assert_eq!(other.list(&owner()).await.unwrap(), fixture.list().await);

    // A kill is seen by the driver that did not start it as well.
    let victim = &fixture
        .list()
        .await
        .into_iter()
        .find(|thing| thing.name == "sample/0")
        .unwrap()
        .id;
    kill(fixture.processes(Some(victim)).pop_first().unwrap(), Signal::KILL);
    let seen = async || (other.get(victim).await.unwrap().state == ResourceState::Exited { code: None }).then_some(());
    until("the kill", seen).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_later_epoch_is_remembered_by_the_folder() {
    let mut fixture = Fixture::new();
    let mut later = machine_request();
    later.epoch = Epoch(9);
    let machine = fixture.driver.create(&later).await.unwrap();
    fixture.reopen();
    let error = fixture.driver.delete(&machine.id, STOP, Epoch(8)).await.unwrap_err();
    assert_eq!(error.cause, Cause::StaleEpoch { seen: 9, ours: 8 });
    fixture.close().await;
}

#[tokio::test]
async fn a_deleted_token_is_remembered_by_the_folder() {
    let mut fixture = Fixture::new();
    let replica = fixture.replica("t", IDLE).await;
    fixture.driver.delete(&replica.id, STOP, EPOCH).await.unwrap();
    fixture.reopen();
    assert_eq!(
        fixture.try_replica("t", IDLE).await.unwrap_err().cause,
        Cause::TokenReused
    );
    fixture.close().await;
}
