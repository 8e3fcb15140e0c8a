//! One rule of even spread, kept so that asking whether a move is allowed takes no walk over the domains.

/// A node that is in no domain of the level.
const NOWHERE: u32 = u32::MAX;

/// Members per domain, and how many domains have how many.
#[derive(Debug, Clone)]
pub(crate) struct Spreading {
    max_skew: u32,
    /// Domain of each node.
    domain: Vec<u32>,
    /// Whether each node is open to members.
    open: Vec<bool>,
    /// Members on each node that was bought, which is open while it has some: buying a machine does not break a rule by
    /// its being empty.
    held: Vec<Option<u32>>,
    /// Nodes of each domain that are open to members; only domains that have one count for the least.
    open_nodes: Vec<u32>,
    /// Members in each domain.
    members: Vec<u32>,
    /// Domains that count, by their members.
    with: Vec<u32>,
    /// All domains, by their members.
    all_with: Vec<u32>,
    least: u32,
    most: u32,
}

impl Spreading {
    /// A rule over nodes in these of `domains` domains (`None`: in none), each open to members or not.
    pub(crate) fn new(max_skew: u32, domains: usize, domain: &[Option<u32>], open: &[bool]) -> Self {
        let mut rule = Self {
            max_skew,
            domain: domain.iter().map(|d| d.unwrap_or(NOWHERE)).collect(),
            open: vec![false; domain.len()],
            held: vec![None; domain.len()],
            open_nodes: vec![0; domains],
            members: vec![0; domains],
            with: vec![0],
            all_with: vec![u32::try_from(domains).unwrap_or(u32::MAX)],
            least: 0,
            most: 0,
        };
        for (node, open) in open.iter().enumerate() {
            rule.set_open(node, *open);
        }
        rule
    }

    /// Adds a node that was bought; one that is in no domain known so far is in none.
    pub(crate) fn add_node(&mut self, domain: Option<u32>) {
        self.domain.push(domain.unwrap_or(NOWHERE));
        self.open.push(false);
        self.held.push(Some(0));
    }

    /// Adds a node that was bought and is a domain of its own.
    pub(crate) fn add_domain(&mut self) {
        self.add_node(u32::try_from(self.members.len()).ok());
        self.members.push(0);
        self.open_nodes.push(0);
        self.all_with[0] += 1;
    }

    /// Opens a node to members, or closes it.
    pub(crate) fn set_open(&mut self, node: usize, open: bool) {
        if self.open[node] == open {
            return;
        }
        self.open[node] = open;
        let domain = self.domain[node];
        if domain == NOWHERE {
            return;
        }
        let domain = place(domain);
        let counted = self.open_nodes[domain] > 0;
        self.open_nodes[domain] = if open {
            self.open_nodes[domain] + 1
        } else {
            self.open_nodes[domain] - 1
        };
        if counted != (self.open_nodes[domain] > 0) {
            let members = place(self.members[domain]);
            if self.with.len() <= members {
                self.with.resize(members + 1, 0);
            }
            self.with[members] = if open {
                self.with[members] + 1
            } else {
                self.with[members] - 1
            };
            self.least = first(&self.with, 0);
        }
    }

    /// Counts a member on a node in, or out.
    pub(crate) fn count(&mut self, node: usize, into: bool) {
        let domain = self.domain[node];
        if domain == NOWHERE {
            return;
        }
        let domain = place(domain);
        let before = self.members[domain];
        let after = if into { before + 1 } else { before.saturating_sub(1) };
        self.members[domain] = after;
        recount(&mut self.all_with, before, after);
        if self.open_nodes[domain] > 0 {
            recount(&mut self.with, before, after);
            self.least = first(&self.with, self.least.min(after));
        }
        self.most = last(&self.all_with, self.most.max(after));
        if let Some(held) = &mut self.held[node] {
            *held = if into { *held + 1 } else { held.saturating_sub(1) };
            let open = *held > 0;
            self.set_open(node, open);
        }
    }

    /// Whether a member may go from one node to another: the rule holds there afterwards, and where it did not hold
    /// before, it is no worse.
    pub(crate) fn allows(&self, from: usize, to: usize) -> bool {
        let (from, to) = (self.domain[from], self.domain[to]);
        if to == NOWHERE {
            return false;
        }
        if from == to {
            return true;
        }
        let to = place(to);
        let receives = self.members[to] + 1;
        let mut least = self.least;
        let counts = |domain: usize| self.open_nodes[domain] > 0;
        if !counts(to) {
            least = least.min(receives);
        } else if self.members[to] == least && self.with[place(least)] == 1 {
            least += 1;
        }
        let mut most = self.most;
        if from != NOWHERE {
            let from = place(from);
            let left = self.members[from].saturating_sub(1);
            if counts(from) {
                least = least.min(left);
            }
            if self.members[from] == most && self.all_with[place(most)] == 1 {
                most = left;
            }
        }
        let most = most.max(receives);
        let skew_now = self.most.saturating_sub(self.least);
        receives <= least.saturating_add(self.max_skew) && most.saturating_sub(least) <= self.max_skew.max(skew_now)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn recount(with: &mut Vec<u32>, before: u32, after: u32) {
    if with.len() <= place(after) {
        with.resize(place(after) + 1, 0);
    }
    with[place(before)] -= 1;
    with[place(after)] += 1;
}

/// The lowest count from `hint` on that some domain has; there is none below `hint`. 0 when no domain counts.
fn first(with: &[u32], hint: u32) -> u32 {
    let found = with.iter().skip(place(hint)).position(|n| *n > 0);
    found.map_or(0, |i| hint.saturating_add(u32::try_from(i).unwrap_or(0)))
}

/// The highest count up to `hint` that some domain has.
fn last(with: &[u32], hint: u32) -> u32 {
    let upto = place(hint).min(with.len().saturating_sub(1));
    let found = with[..=upto].iter().rposition(|n| *n > 0);
    found.map_or(0, |i| u32::try_from(i).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule asked plainly: count everything, before and after.
    fn plainly(at: &[usize], domain: &[u32], max_skew: u32, member: usize, to: usize) -> bool {
        let skew = |at: &[usize]| {
            let counts: Vec<u32> = (0..3)
                .map(|d| u32::try_from(at.iter().filter(|n| domain[**n] == d).count()).unwrap())
                .collect();
            (
                counts.clone(),
                counts.iter().max().unwrap() - counts.iter().min().unwrap(),
            )
        };
        let mut after = at.to_vec();
        after[member] = to;
        let ((_, now), (counts, then)) = (skew(at), skew(&after));
        let here = counts[place(domain[to])];
        domain[to] == domain[at[member]] || here - counts.iter().min().unwrap() <= max_skew && then <= max_skew.max(now)
    }

    #[test]
    fn what_is_allowed_is_what_counting_says() {
        let domain = [0, 1, 2, 0, 1];
        let mut state = 1u64;
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut digits = (0..8).map(|i| usize::try_from(state >> (20 + 5 * i)).unwrap_or(0));
            let at: Vec<usize> = digits.by_ref().take(6).map(|d| d % 5).collect();
            let max_skew = 1 + u32::from(state.is_multiple_of(7));
            let mut rule = Spreading::new(max_skew, 3, &domain.map(Some), &[true; 5]);
            at.iter().for_each(|n| rule.count(*n, true));
            for (member, from) in at.iter().enumerate() {
                for to in (0..5).filter(|to| to != from) {
                    assert_eq!(
                        rule.allows(*from, to),
                        plainly(&at, &domain, max_skew, member, to),
                        "{at:?} {member} {to}"
                    );
                }
            }
        }
    }
}
