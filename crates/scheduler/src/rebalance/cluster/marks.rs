//! Who may not share a node with whom: per node, how many workloads are in a group and how many avoid it.

/// One group on one node.
#[derive(Debug, Clone, Copy)]
struct Mark {
    group: u32,
    members: u32,
    avoiding: u32,
}

/// Marks of all nodes; each node's are sorted by group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    of: Vec<Vec<Mark>>,
}

impl Marks {
    pub(crate) fn add_node(&mut self) {
        self.of.push(Vec::new());
    }

    /// Counts a workload of these groups that avoids those in, or out.
    pub(crate) fn count(&mut self, node: usize, groups: &[u32], apart: &[u32], into: bool) {
        for group in groups {
            let mark = self.mark(node, *group);
            mark.members = step(mark.members, into);
        }
        for group in apart {
            let mark = self.mark(node, *group);
            mark.avoiding = step(mark.avoiding, into);
        }
    }

    /// Whether a workload of these groups that avoids those would meet one it may not.
    pub(crate) fn conflict(&self, node: usize, groups: &[u32], apart: &[u32]) -> bool {
        let find = |group: &u32| {
            let marks = &self.of[node];
            marks.binary_search_by_key(group, |m| m.group).ok().map(|i| marks[i])
        };
        apart.iter().filter_map(find).any(|m| m.members > 0) || groups.iter().filter_map(find).any(|m| m.avoiding > 0)
    }

    fn mark(&mut self, node: usize, group: u32) -> &mut Mark {
        let marks = &mut self.of[node];
        let index = marks.binary_search_by_key(&group, |m| m.group).unwrap_or_else(|index| {
            let empty = Mark {
                group,
                members: 0,
                avoiding: 0,
            };
            marks.insert(index, empty);
            index
        });
        &mut marks[index]
    }
}

const fn step(count: u32, up: bool) -> u32 {
    if up {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    }
}
