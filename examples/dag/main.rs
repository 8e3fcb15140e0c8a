//! dag
use skyloom::Catalogue;
use skyloom::scheduler::Effort;
use skyloom::scheduler::dag::*;
mod random;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (n, c, seed): (usize, usize, u64) = (a[1].parse().unwrap(), a[2].parse().unwrap(), a[3].parse().unwrap());
    let shape = match a[4].as_str() {
        "chain" => random::Shape::Chain,
        "tree" => random::Shape::Tree,
        _ => random::Shape::General,
    };
    let units: u64 = a[5].parse().unwrap();
    let catalogue = Catalogue::builtin();
    let dag = random::random(&catalogue, n, c, seed, shape);
    println!("{} edges", dag.edges.len());
    for explain in [false, true] {
        let t = std::time::Instant::now();
        let mut e = Effort::units(units);
        let p = plan(
            &dag,
            &catalogue,
            &DagConfig::new(Objective::Cost).with_explain(explain),
            &mut e,
        )
        .unwrap();
        println!(
            "{:?} cost {} egress {} lb {} gap {} units {} sent {}",
            t.elapsed(),
            p.cost,
            p.egress,
            p.cost_lower_bound,
            p.gap,
            e.done(),
            p.sent.len()
        );
    }
}
