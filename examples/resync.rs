//! What a first copy and a run without changes cost: CPU seconds and peak memory, for small files on local disk.
//!
//! `cargo run --release --example resync -- FOLDER [OBJECTS] [BYTES]` makes its files in FOLDER, which
//! must not exist, and removes them afterwards; each has BYTES and eight more. Linux only: it reads /proc/self.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use skyloom::core::Timestamp;
use skyloom::sync::{BaseFile, Durability, LocalDisk, SyncConfig, SyncMode, sync, verify};

/// Ticks a second of the figures in /proc/self/stat, the same on every Linux.
const TICKS: u32 = 100;

/// CPU time of this process in hundredths of a second: fields 14 and 15 of proc(5) stat.
fn cpu_ticks() -> Result<u32, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no command in /proc/self/stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || -> Result<u32, Box<dyn Error>> { Ok(fields.next().ok_or("a short /proc/self/stat")?.parse()?) };
    Ok(next()? + next()?)
}

fn peak() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or("VmHWM: unknown");
    Ok(line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let before = cpu_ticks()?;
    let result = work()?;
    let ticks = cpu_ticks()? - before;
    println!(
        "{name:<42} {}.{:02} CPU s, peak {}",
        ticks / TICKS,
        ticks % TICKS,
        peak()?
    );
    Ok(result)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let folder = Path::new(args.get(1).ok_or("usage: resync FOLDER [OBJECTS] [BYTES]")?);
    let objects: u64 = args.get(2).map_or(Ok(10_000), |text| text.parse())?;
    let bytes: u64 = args.get(3).map_or(Ok(4088), |text| text.parse())?;
    fs::create_dir(folder)?;
    let (left_path, right_path) = (folder.join("left"), folder.join("right"));
    for n in 0..objects {
        let inside = left_path.join(format!("{:02}", n % 100));
        fs::create_dir_all(&inside)?;
        let mut file = fs::File::create(inside.join(format!("{n}.bin")))?;
        file.write_all(&n.to_le_bytes())?;
        std::io::copy(&mut std::io::repeat(b'x').take(bytes), &mut file)?;
    }
    let base = BaseFile::new(folder.join("base.json"));
    let config = SyncConfig::new(SyncMode::Mirror);
    let open = |path: &Path| LocalDisk::open(path).map(|store| store.with_durability(Durability::Buffered));
    let run = |left: &LocalDisk, right: &LocalDisk| -> Result<_, Box<dyn Error>> {
        Ok(block_on(sync(left, right, &base, &config, Timestamp::EPOCH))?)
    };
    let (left, right) = (open(&left_path)?, open(&right_path)?);
    let first = step("first copy, read back and verified", || run(&left, &right))?;
    assert_eq!((first.copied, first.verified), (objects, objects));
    step("verify both sides, every byte", || {
        Ok(block_on(verify(&left, &right, &config))?)
    })?;
    let second = step("no change, at once (young files hashed again)", || run(&left, &right))?;
    // From now on the files have rested, and a hash is believed by their stamp.
    std::thread::sleep(Duration::from_secs(3));
    step("no change, index made afresh", || run(&left, &right))?;
    let third = step("no change", || run(&left, &right))?;
    drop((left, right));
    let reopened = step("no change, stores opened anew", || {
        run(&open(&left_path)?, &open(&right_path)?)
    })?;
    assert_eq!((second.bytes_moved, third.bytes_moved, reopened.bytes_moved), (0, 0, 0));
    fs::remove_dir_all(folder)?;
    Ok(())
}
