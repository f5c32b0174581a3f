"""The packer beside a reference program, both compiled here and run in turn."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CLOCK = """
mod clock {
    #[repr(C)] struct T { s: i64, n: i64 }
    extern "C" { fn clock_gettime(c: i32, t: *mut T) -> i32; }
    pub struct Instant(f64);
    pub struct Span(f64);
    fn read() -> f64 {
        let mut t = T { s: 0, n: 0 };
        unsafe { clock_gettime(3, &mut t) };
        t.s as f64 + t.n as f64 * 1e-9
    }
    impl Instant {
        pub fn now() -> Self { Instant(read()) }
        pub fn elapsed(&self) -> Span { Span(read() - self.0) }
    }
    impl Span { pub fn as_secs_f64(&self) -> f64 { self.0 } }
}
use clock::Instant;
"""
"""Processor time in place of the reference's wall clock, so that a loaded machine is fair."""
CLOSURE_AGAIN = """
let t=Instant::now();let mut sets=vec![0u128;nn];let mut starts=vec![0u32;nn];let mut sum=0usize;
for g in 0..G{let o=g*nn;for i in 0..nn{let mut m=1u128<<i;let mut s=0u32;
 for e in off[o+i]..off[o+i+1]{let p=par[e as usize] as usize;m|=sets[p];
  s=s.max(starts[p]+nlen[o+p] as u32)} sets[i]=m;starts[i]=s;} sum+=starts[nn-1] as usize;}
let again=t.elapsed().as_secs_f64();
println!("again n={nn}: closure {:.2}M [{sum}]",(G*nn) as f64/again/1e6);
"""
ASSEMBLY_AGAIN = """
{let t=Instant::now();let mut nid=Vec::<u16>::new();let mut pos=Vec::<u32>::new();
 let mut sum=0usize;
 for k in 0..G*nn{if k%(8*nn)==0{sum+=nid.len()+pos.len();nid.clear();pos.clear();}
  for j in 0..nlen[k] as u32{nid.push((k%nn) as u16);pos.push(st[k]+j)}}
 let again=t.elapsed().as_secs_f64();
 println!("again n={nn}: assembly {:.2}M [{}]",
  nlen.iter().map(|&x|x as f64).sum::<f64>()/again/1e6,sum+nid.len()+pos.len());}
"""
"""The reference's loops in memory that is used again, as packing has it."""
PLACES = {"// (2)": CLOSURE_AGAIN, "// (3)": ASSEMBLY_AGAIN}
SIZES = (12, 40, 100)
KINDS = ("closure", "assembly", "closure_again", "assembly_again")
NAMES = ("pack", *(f"{kind}_{n}" for kind in KINDS for n in SIZES))


def packer_speed(args: argparse.Namespace) -> dict[str, Any]:
    if not args.probe.is_file() or shutil.which("cargo") is None:
        return {"absent": "the reference program or a Rust compiler"}
    if not args.lengths:
        return {"absent": "real lengths: needs --model and --data"}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "work").mkdir()
        lengths = work / "work" / "graph_lens.txt"
        lengths.write_text("\n".join(map(str, args.lengths)))
        reference = _reference(args.probe, work)
        ours = _ours()
        rounds: list[dict[str, dict[str, float]]] = []
        for _ in range(args.rounds):
            theirs = subprocess.run([reference], cwd=work, capture_output=True, text=True)
            own = subprocess.run([ours, lengths], capture_output=True, text=True, check=True)
            rounds.append({"reference": _read(theirs.stdout), "ours": json.loads(own.stdout)})
    found: dict[str, Any] = {"unit": "million items, nodes or tokens a second", "rounds": rounds}
    for name in NAMES:
        ratios = [r["ours"][name] / r["reference"][name] for r in rounds]
        found[name] = {
            "ours": statistics.median(r["ours"][name] for r in rounds),
            "reference": statistics.median(r["reference"][name] for r in rounds),
            "ratio": statistics.median(ratios),
            "bar": 1.0,
            "met": statistics.median(ratios) >= 1.0,
        }
    found["note"] = (
        "closure, assembly: both keep the sets of all graphs and the columns of all tokens, in new "
        "memory; again: both in memory used again, graph by graph and 8 graphs a batch, as packing "
        "does it. The reference writes nodes and positions (6 bytes a token), ours ids, positions, "
        "nodes and subtree ends (16): where memory is new, its pages are what costs"
    )
    return found


def _reference(source: Path, work: Path) -> Path:
    text = source.read_text(encoding="utf-8").replace("use std::time::Instant;", CLOCK)
    for place, code in PLACES.items():
        text = text.replace(place, code + place)
    (work / "reference.rs").write_text(text, encoding="utf-8")
    target = work / "reference"
    command = ["rustc", "-C", "opt-level=3", "-C", "target-cpu=native", "-A", "warnings"]
    subprocess.run([*command, work / "reference.rs", "-o", target], check=True)
    return target


def _ours() -> Path:
    command = ["cargo", "build", "--release", "-q", "-p", "collegium-core"]
    subprocess.run([*command, "--example", "graph_speed"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "graph_speed"


def _read(text: str) -> dict[str, float]:
    packed = re.search(r"BFD bitset: .*?= ([\d.]+)M items/s", text)
    if packed is None:
        raise RuntimeError("the reference program did not finish")
    found = {"pack": float(packed[1])}
    pattern = r"graphs n=(\d+).*?closure\+pos ([\d.]+)M.*?token expand ([\d.]+)M"
    for nodes, closure, expand in re.findall(pattern, text):
        found[f"closure_{nodes}"] = float(closure)
        found[f"assembly_{nodes}"] = float(expand)
    for nodes, kind, speed in re.findall(r"again n=(\d+): (\w+) ([\d.]+)M", text):
        found[f"{kind}_again_{nodes}"] = float(speed)
    return found
