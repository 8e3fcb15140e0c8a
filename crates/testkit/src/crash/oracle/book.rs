//! What the durable files say, read as plain JSON with a checksum of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::trial::TrialView;

/// The journal, as far as it is whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    offset: usize,
    chain: u32,
    entries: usize,
    text: Vec<u8>,
    /// Tokens of intents that are not settled, by step.
    intents: BTreeMap<u64, String>,
    /// Tokens that were ever in a durable intent of this plan.
    pub(super) tokens: BTreeSet<String>,
    /// Tokens of all plans before.
    pub(super) earlier: BTreeSet<String>,
    observed: BTreeSet<String>,
    said: BTreeSet<(u64, String)>,
    pub(super) plan: PlanView,
    pub(super) trial: TrialView,
    pub(super) undoing: bool,
    end: Option<String>,
}

/// What the journal says of the plan and its manifest.
#[derive(Debug, Clone, Default)]
pub(super) struct PlanView {
    /// Counts plans, from 1.
    pub(super) number: u32,
    /// Replicas that the plan creates.
    pub(super) creates: BTreeSet<String>,
    /// Replicas whose old one may go before the new one is there: the plan says so, and says why.
    pub(super) old_first: BTreeSet<String>,
    /// Things that go early to make room.
    pub(super) makes_room: BTreeSet<String>,
    /// What services wait for, in the manifest that the plan brings into force.
    pub(super) needs: BTreeMap<String, Vec<(String, String)>>,
    /// Replicas that the manifest asks for.
    pub(super) wanted: BTreeSet<String>,
    /// Whether everything is taken down.
    pub(super) teardown: bool,
}

impl Book {
    /// Takes in what is new; `true`: a plan has begun.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < self.offset {
            let (plan, trial) = (std::mem::take(&mut self.plan), std::mem::take(&mut self.trial));
            let mut earlier = std::mem::take(&mut self.earlier);
            earlier.append(&mut self.tokens);
            *self = Self {
                plan,
                trial,
                earlier,
                ..Self::default()
            };
        }
        let mut begun = false;
        if self.offset == 0 {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                return false;
            };
            self.offset = end + 1;
        }
        while let Some(length) = bytes[self.offset..].iter().position(|byte| *byte == b'\n') {
            let line = &bytes[self.offset..self.offset + length];
            let Some((chain, value)) = whole(self.chain, line) else {
                break;
            };
            self.text.extend_from_slice(line);
            (self.chain, self.entries) = (chain, self.entries + 1);
            self.offset += length + 1;
            begun |= self.entry(&value);
        }
        begun
    }

    fn entry(&mut self, value: &Value) -> bool {
        if value["entry"] == "plan" {
            let number = self.plan.number + 1;
            self.plan = PlanView::new(&value["plan"], &value["manifest"], number);
            self.trial = TrialView::new(&value["plan"], &value["manifest"]);
            (self.undoing, self.end) = (false, None);
            self.intents.clear();
            self.earlier.append(&mut self.tokens);
            self.observed.clear();
            self.said.clear();
            return true;
        }
        let record = &value["record"];
        let step = record["step"].as_u64().unwrap_or_default();
        let kind = text(&record["record"]);
        self.trial.record(&kind, record);
        match kind.as_str() {
            "intent" => {
                self.tokens.insert(text(&record["token"]));
                self.intents.insert(step, text(&record["token"]));
            }
            "observed" => {
                self.observed.insert(text(&record["resource"]));
            }
            "withdrawn" => {
                self.intents.remove(&step);
            }
            "failed" if record["verdict"] == "given-up" && !self.said.contains(&(step, String::from("observed"))) => {
                self.intents.remove(&step);
            }
            "compensation-intent" => self.undoing = true,
            "ended" => self.end = Some(text(&record["outcome"])),
            _ => {}
        }
        self.said.insert((step, kind));
        false
    }

    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn knows(&self, id: &str, token: &str) -> bool {
        self.observed.contains(id) || self.intents.values().any(|known| known == token)
    }

    pub(super) fn has(&self, step: u32, kind: &str) -> bool {
        self.said.contains(&(u64::from(step), kind.to_owned()))
    }

    pub(super) fn mentions(&mut self, secret: &str) -> bool {
        let found = contains(&self.text, secret);
        self.text.clear();
        found
    }

    /// How the plan has ended, once.
    pub(super) const fn take_end(&mut self) -> Option<String> {
        self.end.take()
    }
}

impl PlanView {
    fn new(plan: &Value, manifest: &Value, number: u32) -> Self {
        let mut view = Self {
            number,
            teardown: manifest.is_null(),
            ..Self::default()
        };
        let steps = list(&plan["steps"]);
        let mut deletes: BTreeMap<u64, String> = BTreeMap::new();
        for step in steps {
            let action = &step["action"];
            if action["kind"] == "delete-replica" {
                deletes.insert(step["id"].as_u64().unwrap_or_default(), text(&action["replica"]));
                if text(&step["why"]).starts_with("makes room") {
                    view.makes_room.insert(text(&action["resource"]));
                    view.old_first.insert(text(&action["replica"]));
                }
            }
            if action["kind"] == "create-replica" {
                let replica = text(&action["spec"]["replica"]);
                let waited = list(&step["after"]).iter().filter_map(|after| after["step"].as_u64());
                let own = waited
                    .filter_map(|id| deletes.get(&id))
                    .any(|deleted| *deleted == replica);
                if own {
                    view.old_first.insert(replica.clone());
                }
                view.creates.insert(replica);
            }
        }
        for service in list(&manifest["services"]) {
            let name = text(&service["name"]);
            let replicas = service["replicas"].as_u64().unwrap_or_default();
            view.wanted.extend((0..replicas).map(|index| format!("{name}/{index}")));
            let needs = list(&service["depends_on"])
                .iter()
                .map(|d| (text(&d["service"]), text(&d["condition"])));
            view.needs.insert(name, needs.collect());
        }
        view
    }
}

/// State and lease.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    bytes: Vec<u8>,
    ids: BTreeSet<String>,
    /// Operations whose things are still looked for.
    doubts: BTreeSet<String>,
    /// All that ever were.
    doubted: BTreeSet<String>,
    /// What services of the deployment before waited for.
    pub(super) needs: BTreeMap<String, Vec<(String, String)>>,
    pub(super) epoch: u64,
    /// The manifest in force, and whether it is.
    pub(super) trial: TrialView,
    pub(super) is_up: bool,
    looked: bool,
}

impl Shelf {
    pub(super) fn read(&mut self, state: &[u8], lease: &[u8]) {
        self.epoch = std::str::from_utf8(lease)
            .ok()
            .and_then(|t| t.trim().parse().ok())
            .unwrap_or(self.epoch);
        if state == self.bytes {
            return;
        }
        self.bytes = state.to_vec();
        self.looked = false;
        let Ok(value) = serde_json::from_slice::<Value>(state) else {
            return;
        };
        self.ids.clear();
        self.trial = TrialView::of_manifest(&value["manifest"]);
        self.is_up = value["aim"] == "up";
        for known in value["machines"].as_object().into_iter().flat_map(|map| map.values()) {
            self.ids.insert(text(&known["resource"]));
        }
        let doubts = value["in_doubt"]
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys().cloned());
        self.doubts = doubts.collect();
        self.doubted.extend(self.doubts.iter().cloned());
        self.ids.extend(
            value["replicas"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned()),
        );
        let services = list(&value["manifest"]["services"]).iter();
        let needs = services.map(|service| {
            let needs = list(&service["depends_on"])
                .iter()
                .map(|d| (text(&d["service"]), text(&d["condition"])));
            (text(&service["name"]), needs.collect())
        });
        self.needs = needs.collect();
    }

    pub(super) fn looks_for(&self, operation: &str) -> bool {
        self.doubts.contains(operation)
    }

    /// A creation in doubt may come about when its plan has ended and its intent is gone; it is looked for all the same.
    pub(super) fn was_in_doubt(&self, operation: &str) -> bool {
        self.doubted.contains(operation)
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    pub(super) fn mentions(&mut self, secret: &str) -> bool {
        !std::mem::replace(&mut self.looked, true) && contains(&self.bytes, secret)
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    !secret.is_empty() && bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// The checksum and the value of a whole line.
fn whole(chain: u32, line: &[u8]) -> Option<(u32, Value)> {
    let (stated, json) = (line.get(..8)?, line.get(9..)?);
    let stated = u32::from_str_radix(std::str::from_utf8(stated).ok()?, 16).ok()?;
    let mut crc = Crc::new();
    crc.add(&chain.to_le_bytes());
    crc.add(json);
    (crc.end() == stated)
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
        .map(|value| (stated, value))
}

/// CRC-32 as IEEE 802.3 has it, by its definition: polynomial 0xEDB88320 reflected, a table per byte.
struct Crc(u32);

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut rest = byte;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 {
                0xedb8_8320 ^ (rest >> 1)
            } else {
                rest >> 1
            };
            bit += 1;
        }
        table[byte as usize] = rest;
        byte += 1;
    }
    table
}

impl Crc {
    const fn new() -> Self {
        Self(!0)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = usize::from(self.0.to_le_bytes()[0] ^ byte);
            self.0 = TABLE[index] ^ (self.0 >> 8);
        }
    }

    const fn end(self) -> u32 {
        !self.0
    }
}
