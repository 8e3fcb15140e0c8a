//! The optimiser: from a first answer and an allowance of work to a better answer and a proven bound.

mod blocks;
mod carrier;
mod generate;
mod greedy;
mod master;
mod rows;
mod search;
mod tables;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};

use generate::{Generation, Round};
use rows::{Rows, grouped};

pub(crate) fn improve(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
    let mut g = Generation::new(folded, counts, Rows::new(folded, &grouped(folded, 8)), &start);
    let mut n = 0;
    let top: usize = std::env::var("ROWS").ok().and_then(|s| s.parse().ok()).unwrap_or(500);
    for rows_max in [8usize, 30, 120, 500, 900] {
        if rows_max > top { break; }
        let groups = grouped(folded, rows_max);
        let rows = Rows::new(folded, &groups);
        eprintln!("{} classes {} rows", folded.classes.len(), rows.len());
        if n > 0 { g = g.with_rows(rows); }
    let last = rows_max == 120 || rows_max >= top.min(folded.classes.len());
    if last { g.nodes_limit = 1_000_000; }
    let mut window = std::collections::VecDeque::new();
    while effort.within(1.0) {
        let r = g.round(effort);
        n += 1;
        eprintln!("{:.2} round {n} units {} lp {:.4} bound {:.4} cols {} {r:?}",T0.with(|t| t.elapsed().as_secs_f64()), effort.done(), g.master.objective()/1e9, g.best_bound as f64/1e9, g.patterns.len());
        if r == Round::Solved { break; }
        let o = g.master.objective();
        if !last && o < 1.004 * g.best_bound as f64 { break; }
        window.push_back(o);
        if window.len() > 8 { let old: f64 = window.pop_front().unwrap(); if !last && old - o < 0.0005 * o { break; } }
    }
    if let Some(p) = &g.last { let mut v: Vec<_> = folded.shapes.iter().enumerate().map(|(i,s)| (s.price as f64 / p.uppers[i] as f64, i)).collect(); v.sort_by(|a,b| a.0.total_cmp(&b.0)); for (r,i) in v.iter().take(12) { let s=&folded.shapes[*i]; eprintln!("{r:.5} cap {:?} dev {} price {}", &s.capacity.0[..2], s.devices, s.price as f64/1e9); } eprintln!("bound last {}", p.bound(folded,&g.counts) as f64/1e9); }
    }
    (start, g.best_bound)
}

thread_local!{ static T0: std::time::Instant = std::time::Instant::now(); }
/// dev
pub fn dev(folded_types: &[(u64,u64,u32,u64)], pods: &[(u64,u64,u32,u32)], effort: &mut Effort<'_>) {
    use crate::fleet::folded::*; use crate::fleet::problem::*; use std::collections::BTreeMap;
    let mut m: BTreeMap<(u64,u64,u32,u32),u64> = BTreeMap::new();
    for p in pods { *m.entry(*p).or_default() += 1; }
    let am = |a,b| { let mut x = Amounts::default(); x.0[0]=a; x.0[1]=b; x };
    let classes = m.iter().map(|(k,n)| Class { need: am(k.0,k.1), devices: if k.2==0 {Devices::None} else if k.3<1000 {Devices::Share(k.3)} else {Devices::Whole(k.2)}, count:*n, per_machine_max:u32::MAX, eligible:0 }).collect();
    let shapes: Vec<Shape> = folded_types.iter().enumerate().map(|(i,t)| Shape{capacity: am(t.0,t.1), devices:t.2, price:t.3, offer:i}).collect();
    let folded = Folded{dimensions:2, classes, eligible: vec![vec![true; shapes.len()]], shapes, limits: vec![]};
    let mut start = Bought::default();
    let counts: Vec<u64> = folded.classes.iter().map(|c: &Class| c.count).collect();
    let carriers: Vec<_> = (0..folded.shapes.len()).map(|s| carrier::Carrier::new(&folded, s, &counts)).collect();
    let mut best: BTreeMap<u32,(f64,Pattern,u64)> = BTreeMap::new();
    for c in &carriers { for l in c.plain.iter().chain(&c.shares).chain(&c.whole) {
        let p = folded.shapes[c.shape].price as f64 / l.most as f64;
        let e = best.entry(l.class).or_insert((f64::MAX, Pattern{shape:0,items:vec![]},0));
        if p < e.0 { *e = (p, Pattern{shape:c.shape, items: vec![(l.class,l.most)]}, counts[l.class as usize].div_ceil(l.most.into())); }
    }}
    for (_, (_,p,n)) in best { start.machines.push((p,n)); }
    eprintln!("start {}", start.price(&folded) as f64/1e9);
    improve(&folded, start, effort);
}
