//! What each event of the cloud must not break: I1, I4, I6, I7.

use skyloom_provider::Kind;
use skyloom_provider::sim::{SimEvent, SimEventKind};

use super::ledger::Thing;
use super::{Invariant, Oracle};
use crate::crash::port::owner;

impl Oracle {
    pub(super) fn rules(&mut self, event: &SimEvent) {
        match &event.what {
            SimEventKind::Called { epoch: Some(epoch), .. } => {
                if let Some(call) = event.call {
                    self.ledger.epochs.insert(call, epoch.0);
                }
            }
            SimEventKind::Created {
                id,
                of,
                name,
                owner: whose,
                operation,
                token,
                ..
            } if *whose == owner() => {
                self.effect(event);
                let thing = Thing {
                    name: name.clone(),
                    kind: *of,
                    operation: operation.to_string(),
                    token: token.to_string(),
                    plan: self.book.plan.number,
                    alive: true,
                    running: false,
                    ran: false,
                    completed: false,
                    form: String::new(),
                };
                self.made(id.as_str(), thing);
            }
            SimEventKind::Deleted { id } => {
                self.effect(event);
                self.gone(id.as_str());
            }
            SimEventKind::Running { id } => self.change(id.as_str(), |thing| {
                (thing.running, thing.ran) = (true, true);
            }),
            SimEventKind::Exited { id, code } => {
                let completed = *code == Some(0);
                self.change(id.as_str(), |thing| {
                    (thing.running, thing.completed) = (false, completed);
                });
                self.broke(id.as_str(), !completed);
            }
            SimEventKind::Evicted { id } => {
                self.change(id.as_str(), |thing| thing.running = false);
                self.broke(id.as_str(), true);
            }
            SimEventKind::Stopped { id } => self.change(id.as_str(), |thing| thing.running = false),
            _ => {}
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Thing)) {
        if let Some(thing) = self.ledger.things.get_mut(id) {
            change(thing);
        }
    }

    fn broke(&mut self, id: &str, broke: bool) {
        if let Some(thing) = self.ledger.things.get(id).filter(|_| broke) {
            self.ledger.broken.insert(thing.name.clone());
        }
    }

    /// I7: the call that had this effect was one of a controller that was granted its epoch, and none later had acted.
    fn effect(&mut self, event: &SimEvent) {
        let Some(epoch) = event.call.and_then(|call| self.ledger.epochs.get(&call).copied()) else {
            return;
        };
        let granted = self.shelf.epoch;
        if epoch > granted || epoch == 0 {
            self.blame(
                Invariant::I7,
                format!("a mutation carries epoch {epoch}, the latest granted is {granted}"),
            );
        }
        if epoch < self.ledger.latest {
            let why = format!("epoch {epoch} acted after epoch {}", self.ledger.latest);
            self.blame(Invariant::I7, why);
        }
        self.ledger.latest = self.ledger.latest.max(epoch);
    }

    fn made(&mut self, id: &str, mut thing: Thing) {
        // A creation in doubt may come about when its plan has ended; under the token that its plan had made durable.
        let late = self.shelf.was_in_doubt(&thing.operation) && self.book.earlier.contains(&thing.token);
        if !self.book.tokens.contains(&thing.token) && !late {
            let why = format!("{} was made with a token that is in no durable intent", thing.name);
            self.blame(Invariant::I1, why);
        }
        if thing.kind == Kind::Replica {
            self.in_order(&thing.name);
            self.behind_gates(&mut thing);
        }
        self.ledger.things.insert(id.to_owned(), thing);
    }

    /// I4: whatever a service waits for has come about, in the new form where the plan makes a new one.
    fn in_order(&mut self, name: &str) {
        let plan = &self.book.plan;
        let needs = plan.needs.get(service_of(name)).map_or(&[][..], Vec::as_slice);
        for (needed, condition) in needs {
            for replica in plan.wanted.iter().filter(|replica| service_of(replica) == needed) {
                let is_new = plan.creates.contains(replica);
                let counts = |thing: &&Thing| !is_new || thing.plan == plan.number;
                let reached = |thing: &Thing| match condition.as_str() {
                    "started" => true,
                    "healthy" => thing.ran,
                    _ => thing.completed,
                };
                if !self.ledger.of(replica).filter(counts).any(reached) {
                    let why = format!("{name} began before {replica} was {condition}");
                    self.blame(Invariant::I4, why);
                    return;
                }
            }
        }
    }

    fn gone(&mut self, id: &str) {
        let Some(thing) = self.ledger.things.get_mut(id) else {
            return;
        };
        thing.alive = false;
        let thing = thing.clone();
        if thing.kind == Kind::Replica {
            self.in_reverse(id, &thing);
            self.left_one(&thing);
            self.floor(id, &thing);
        }
    }

    /// I4: what is not wanted any more goes after whatever rests on it; so does what a rollback undoes.
    fn in_reverse(&mut self, id: &str, gone: &Thing) {
        let plan = &self.book.plan;
        let undone = self.book.undoing && gone.plan == plan.number;
        let unwanted = !plan.wanted.contains(&gone.name);
        if plan.makes_room.contains(id) || !undone && !unwanted {
            return;
        }
        // A teardown knows what rested on what from the deployment before; any other plan from its own manifest.
        let needs = if plan.teardown && !undone {
            &self.shelf.needs
        } else {
            &plan.needs
        };
        let service = service_of(&gone.name);
        let rests = |thing: &Thing| {
            let needs = needs.get(service_of(&thing.name)).map_or(&[][..], Vec::as_slice);
            let same_fate = if undone {
                thing.plan == plan.number
            } else {
                !plan.wanted.contains(&thing.name)
            };
            thing.kind == Kind::Replica && same_fate && needs.iter().any(|(needed, _)| needed == service)
        };
        let above = self
            .ledger
            .alive()
            .find(|(_, thing)| rests(thing))
            .map(|(_, thing)| thing.name.clone());
        if let Some(above) = above {
            self.blame(
                Invariant::I4,
                format!("{} was removed before {above}, which rests on it", gone.name),
            );
        }
    }

    /// I6: a replica that is wanted, or was there before, is not removed while it is the last of its name that runs.
    fn left_one(&mut self, gone: &Thing) {
        let plan = &self.book.plan;
        let undone = self.book.undoing && gone.plan == plan.number;
        let protected = if undone {
            self.ledger.ran_before.contains(&gone.name) && !self.ledger.broken.contains(&gone.name)
        } else {
            plan.wanted.contains(&gone.name) && gone.running && gone.plan < plan.number
        };
        if !protected || plan.old_first.contains(&gone.name) {
            return;
        }
        if !self.ledger.of(&gone.name).any(|thing| thing.ran) {
            self.blame(Invariant::I6, format!("the last {} that ran was removed", gone.name));
        }
    }
}

fn service_of(replica: &str) -> &str {
    replica.split('/').next().unwrap_or_default()
}
