//! dev
use skyloom_scheduler::Effort;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let rd = |f: &str| -> Vec<Vec<String>> { std::fs::read_to_string(f).unwrap().lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect()).collect() };
    let types: Vec<_> = rd(&a[1]).iter().map(|r| (r[2].parse().unwrap(), r[3].parse().unwrap(), r[4].parse().unwrap(), (r[5].parse::<f64>().unwrap()*1e9).round() as u64)).collect();
    let pods: Vec<_> = rd(&a[2]).iter().map(|r| (r[0].parse().unwrap(), r[1].parse().unwrap(), r[2].parse().unwrap(), r[3].parse().unwrap())).collect();
    let t0 = std::time::Instant::now(); let lim: f64 = a[3].parse().unwrap();
    let f = || t0.elapsed().as_secs_f64() / lim;
    skyloom_scheduler::fleet::solve::dev(&types, &pods, &mut Effort::watched(&f));
    eprintln!("{:.2}s", t0.elapsed().as_secs_f64());
}
