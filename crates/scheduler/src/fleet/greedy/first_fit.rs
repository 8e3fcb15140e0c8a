//! First fit by falling cost: classes that are dear alone go first, into open machines where they fit, else onto new
//! ones of the shape that is cheapest per copy. Quick whatever the number of classes, and it leaves out only what limits
//! forbid.

use super::fill::{Cart, with_layout};
use super::prices::float;
use super::room::Room;
use crate::fleet::folded::{Folded, Pattern};

/// Open machines that are looked at for a class; the newest have the most room.
const WINDOW: usize = 256;

/// Equal machines that are being filled.
#[derive(Debug, Clone)]
struct Open {
    shape: usize,
    room: Room,
    items: Vec<(u32, u32)>,
    machines: u64,
}

/// Places what the cart has left, classes in this order.
pub(crate) fn first_fit(folded: &Folded, cart: &mut Cart, order: &[u32]) {
    let missing = |cart: &Cart| cart.left.iter().sum::<u64>();
    let mut before = u64::MAX;
    // Shares that turn out to have no layout come back: hence again, while it helps.
    while missing(cart) > 0 && missing(cart) < before {
        before = missing(cart);
        pass(folded, cart, order);
    }
}

fn pass(folded: &Folded, cart: &mut Cart, order: &[u32]) {
    let mut open: Vec<Open> = Vec::new();
    for &class in order {
        let mut count = cart.left[class as usize];
        let mut at = open.len().saturating_sub(WINDOW);
        while count > 0 && at < open.len() {
            if folded.accepts(open[at].shape, class as usize) {
                count = add(folded, &mut open, at, class, count);
            }
            at += 1;
        }
        while count > 0 {
            let Some((shape, copies)) = cheapest(folded, cart, class, count) else {
                break;
            };
            let machines = (count / copies).min(cart.stock.allows(folded, shape));
            cart.stock.buy(folded, shape, machines);
            let mut machine = Open {
                shape,
                room: Room::of(&folded.shapes[shape], folded.dimensions),
                items: Vec::new(),
                machines,
            };
            put(folded, &mut machine, class, copies);
            count -= machines * copies;
            open.push(machine);
        }
    }
    // The stock was bought above; what it is bought for is booked here.
    for machine in open {
        let mut items = machine.items;
        items.sort_unstable();
        let shape = machine.shape;
        let pattern = with_layout(folded, Pattern { shape, items });
        cart.stock.give_back(folded, shape, machine.machines);
        if !pattern.items.is_empty() {
            cart.buy(folded, pattern, machine.machines);
        }
    }
}

fn put(folded: &Folded, machine: &mut Open, class: u32, copies: u64) {
    machine.room.take(&folded.classes[class as usize], copies);
    machine.items.push((class, u32::try_from(copies).unwrap_or(u32::MAX)));
}

/// Adds to equal machines as many copies as fit; those that get fewer become machines of their own. What is left.
fn add(folded: &Folded, open: &mut Vec<Open>, at: usize, class: u32, count: u64) -> u64 {
    let copies = open[at].room.copies(&folded.classes[class as usize], count);
    if copies == 0 {
        return count;
    }
    let full = (count / copies).min(open[at].machines);
    let rest = if full < open[at].machines {
        count - full * copies
    } else {
        0
    };
    let untouched = open[at].machines - full - u64::from(rest > 0);
    let before = open[at].clone();
    let mut split = |machines: u64, copies: u64| {
        if machines > 0 {
            let mut machine = Open {
                machines,
                ..before.clone()
            };
            if copies > 0 {
                put(folded, &mut machine, class, copies);
            }
            open.push(machine);
        }
    };
    // Pushed last: they are found first the next time, and not again for this class, of which nothing is left then.
    split(untouched, 0);
    split(u64::from(rest > 0), rest);
    open[at].machines = full;
    put(folded, &mut open[at], class, copies);
    count - full * copies - rest
}

/// The shape that is cheapest per copy and how many copies it takes, among those that may be bought.
fn cheapest(folded: &Folded, cart: &Cart, class: u32, count: u64) -> Option<(usize, u64)> {
    let spec = &folded.classes[class as usize];
    let mut best: Option<(f64, usize, u64)> = None;
    for (shape, looks) in folded.shapes.iter().enumerate() {
        if !folded.accepts(shape, class as usize) {
            continue;
        }
        let copies = Room::of(looks, folded.dimensions).copies(spec, count);
        if copies == 0 || cart.stock.allows(folded, shape) == 0 {
            continue;
        }
        let each = float(looks.price) / float(copies);
        if best.is_none_or(|(least, ..)| each < least) {
            best = Some((each, shape, copies));
        }
    }
    best.map(|(_, shape, copies)| (shape, copies))
}
