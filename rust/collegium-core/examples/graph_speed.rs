//! How fast rows are packed, closures computed and trees written; one thread, processor time.
//!
//! `graph_speed LENGTHS`: a file of item lengths, one a line. Prints a JSON object.

use std::time::Duration;

use collegium_core::graph::{Trees, closure::Closure, layout};
use collegium_core::pack::pack;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// Processor time of this thread.
fn now() -> Duration {
    let mut time = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: a valid clock (CLOCK_THREAD_CPUTIME_ID) and a valid place for its value.
    unsafe { clock_gettime(3, &mut time) };
    Duration::new(time.seconds as u64, time.nanoseconds as u32)
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = now();
    let out = work();
    ((now() - start).as_secs_f64(), out)
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lengths: Vec<i64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    if lengths.is_empty() {
        eprintln!("usage: graph_speed LENGTHS (a file of item lengths, one a line)");
        std::process::exit(2);
    }
    let mut random = Random(88_172_645_463_325_252);
    let n = 10_000_000;
    let many: Vec<i64> = (0..n)
        .map(|_| lengths[random.below(lengths.len())].min(4096))
        .collect();
    let (seconds, packing) = timed(|| pack(&many, 4096));
    let rows = packing.map(|packing| packing.rows).unwrap_or(0);
    let total: i64 = many.iter().sum();
    let waste = 1.0 - total as f64 / (rows as f64 * 4096.0);
    println!(
        "{{\"pack\": {:.4}, \"rows\": {rows}, \"waste\": {waste:.6},",
        n as f64 / seconds / 1e6
    );
    drop(many);
    for (nodes, merges) in [(12usize, 15usize), (40, 30), (100, 30)] {
        graphs(nodes, merges, &mut random);
    }
    println!("\"threads\": 1}}");
}

fn graphs(nodes: usize, merges: usize, random: &mut Random) {
    let count = 2_000_000 / nodes;
    let mut parents: Vec<u32> = Vec::new();
    let mut offsets = vec![0u32];
    let mut lengths: Vec<u16> = Vec::new();
    for _ in 0..count {
        for node in 0..nodes {
            if node > 0 {
                let first = random.below(node);
                parents.push(first as u32);
                if node > 1 && random.below(100) < merges {
                    let second = random.below(node);
                    if second != first {
                        parents.push(second as u32);
                    }
                }
            }
            offsets.push(parents.len() as u32);
            lengths.push(20 + random.below(60) as u16);
        }
    }
    // Closure with longest-path starts, graph by graph: everything kept, then as packing does it,
    // each graph in the place of the one before.
    let (closing, kept) = timed(|| {
        let mut closure = Closure::default();
        closure.reach.reserve(count * nodes * nodes.div_ceil(64));
        closure.start.reserve(count * nodes);
        for graph in 0..count {
            let (begin, end) = (graph * nodes, (graph + 1) * nodes);
            closure.append(&parents, &offsets[begin..=end], &lengths[begin..end]);
        }
        closure
    });
    let (passing, last) = timed(|| {
        let mut closure = Closure::default();
        let mut sum = 0;
        for graph in 0..count {
            let (begin, end) = (graph * nodes, (graph + 1) * nodes);
            closure.clear();
            closure.append(&parents, &offsets[begin..=end], &lengths[begin..end]);
            sum += closure.start[nodes - 1] as usize;
        }
        sum
    });
    // Ids, positions, nodes and subtree ends of all tokens kept, then of 8 graphs at a time in the
    // same buffers, as training takes them.
    let tokens: usize = lengths.iter().map(|&length| length as usize).sum();
    let ids: Vec<i64> = (0..80).collect();
    let write = |out: &mut Trees, node: usize| {
        let (length, place) = (u32::from(lengths[node]), (node % nodes) as u32);
        layout::fill(out, &ids, length, kept.start[node], place, place + length);
    };
    let (writing, whole) = timed(|| {
        let mut out = Trees::default();
        for column in [
            &mut out.input_ids,
            &mut out.position_ids,
            &mut out.node_id,
            &mut out.subtree_end,
        ] {
            column.reserve(tokens);
        }
        for node in 0..count * nodes {
            write(&mut out, node);
        }
        out.subtree_end.len()
    });
    let (batching, sum) = timed(|| {
        let mut out = Trees::default();
        let mut sum = 0usize;
        for batch in 0..count.div_ceil(8) {
            out.clear();
            for node in batch * 8 * nodes..((batch + 1) * 8 * nodes).min(count * nodes) {
                write(&mut out, node);
            }
            sum += out.subtree_end.len();
        }
        sum
    });
    let millions = |items: usize, seconds: f64| items as f64 / seconds / 1e6;
    for (name, items, seconds) in [
        ("closure", count * nodes, closing),
        ("closure_again", count * nodes, passing),
        ("assembly", tokens, writing),
        ("assembly_again", tokens, batching),
    ] {
        println!("\"{name}_{nodes}\": {:.4},", millions(items, seconds));
    }
    println!(
        "\"check_{nodes}\": {},",
        sum + whole + last + kept.reach.len()
    );
}
