//! What happened in a simulated cloud, as data. The same seed and the same calls give the same events, byte for byte
//! when serialised. Environments and other secrets are never in it.

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Bytes, Class, MicroUsdPerHour, OperationId, OwnerTag, RegionKey, ResourceId, Timestamp, Token, ZoneName,
};

use super::bill::Destination;
use crate::{Epoch, Kind, Operation};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimEvent {
    /// When, in the cloud's true time (without clock skew).
    pub at: Timestamp,
    /// The call that it belongs to, from 0; `None`: it came about by itself or by the test's hand.
    pub call: Option<u64>,
    /// What.
    pub what: SimEventKind,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum SimEventKind {
    /// A call was made.
    Called {
        /// Which method.
        operation: Operation,
        /// What it was about: resource id, token, owner, or the name of the thing to create.
        subject: Option<String>,
        /// Epoch of a mutation.
        epoch: Option<Epoch>,
    },
    /// The call was refused, or lost before it arrived.
    Refused {
        /// Which method.
        operation: Operation,
        /// Kind of the failure.
        class: Class,
        /// The cause, for people.
        why: String,
    },
    /// The call had its effect and its answer was lost.
    ReplyLost {
        /// Which method.
        operation: Operation,
    },
    /// A mutation was delivered a second time.
    Redelivered {
        /// Which method.
        operation: Operation,
    },
    /// A thing was made.
    Created {
        /// What the cloud calls it.
        id: ResourceId,
        /// Its kind.
        of: Kind,
        /// Our name for it.
        name: String,
        /// Who it belongs to.
        owner: OwnerTag,
        /// The operation it was made by.
        operation: OperationId,
        /// The token it was made with.
        token: Token,
        /// What it costs while it runs; `None`: a replica.
        price: Option<MicroUsdPerHour>,
    },
    /// A thing runs from now on; a machine is billed.
    Running {
        /// Which.
        id: ResourceId,
    },
    /// A thing was stopped and is kept.
    Stopped {
        /// Which.
        id: ResourceId,
    },
    /// A stopped or ended thing was asked to start again.
    Starting {
        /// Which.
        id: ResourceId,
    },
    /// A replica's program ended by itself.
    Exited {
        /// Which.
        id: ResourceId,
        /// Exit code; `None`: ended by a signal.
        code: Option<i32>,
    },
    /// A machine will be taken back.
    EvictionNoticed {
        /// Which.
        id: ResourceId,
        /// When.
        evicted_at: Timestamp,
    },
    /// A machine was taken back, or a replica went with its machine.
    Evicted {
        /// Which.
        id: ResourceId,
    },
    /// A thing is gone.
    Deleted {
        /// Which.
        id: ResourceId,
    },
    /// A thing was given other marks and runs on.
    Retagged {
        /// Which.
        id: ResourceId,
        /// Whose it is from now on; `None`: nobody's.
        owner: Option<OwnerTag>,
        /// Its name from now on.
        name: String,
        /// The operation that did it.
        operation: OperationId,
    },
    /// The price of a machine changed.
    Repriced {
        /// Which.
        id: ResourceId,
        /// From now on.
        price: MicroUsdPerHour,
    },
    /// A replica sent bytes on command.
    Sent {
        /// Which.
        id: ResourceId,
        /// Where to.
        to: Destination,
        /// How many.
        bytes: Bytes,
    },
    /// Somebody changed a thing behind everybody's back, or the hardware did.
    Edited {
        /// Which.
        id: ResourceId,
        /// What was done, for people.
        what: String,
    },
    /// The call was answered with somebody else's thing.
    MixedUp {
        /// What the caller got to see.
        id: ResourceId,
    },
    /// A region or zone went down or came back.
    Outage {
        /// Which.
        region: RegionKey,
        /// The zone of it; `None`: all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<ZoneName>,
        /// Whether it is down from now on.
        down: bool,
    },
}
