//! A look into the memory of a running operator, as somebody would take it who has the node.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::{Error, Operator};

/// Bytes that are looked at in one go.
const BLOCK: usize = 1 << 20;

impl Operator {
    /// How often each text stands in the memory that the process can write to: heap, stacks, statics.
    pub fn memory_holds(&self, texts: &[&str]) -> Result<Vec<usize>, Error> {
        let folder = PathBuf::from(format!("/proc/{}", self.pid()));
        let maps = fs::read_to_string(folder.join("maps")).map_err(Error::io("read the operator's maps"))?;
        let memory = File::open(folder.join("mem")).map_err(Error::io("open the operator's memory"))?;
        let mut found = vec![0; texts.len()];
        for (start, end) in maps.lines().filter_map(writable) {
            for (count, text) in found.iter_mut().zip(texts) {
                *count += occurrences(&memory, start, end, text.as_bytes());
            }
        }
        Ok(found)
    }
}

/// The range of a line of `/proc/<pid>/maps`, such as `7f00-7f10 rw-p …`, if it can be written to.
fn writable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let range = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    rest.starts_with("rw").then_some(range)
}

fn occurrences(memory: &File, start: u64, end: u64, text: &[u8]) -> usize {
    let mut block = vec![0; BLOCK + text.len()];
    let mut found = 0;
    let mut at = start;
    while at < end {
        // What can't be read isn't there, such as pages that were never touched.
        let room = usize::try_from(end - at).unwrap_or(BLOCK).min(block.len());
        let read = memory.read_at(block.get_mut(..room).unwrap_or_default(), at).unwrap_or_default();
        let seen = block.get(..read).unwrap_or_default();
        let whole = |from: usize| seen.get(from..from + text.len()) == Some(text);
        found += (0..read.min(BLOCK)).filter(|from| whole(*from)).count();
        at += BLOCK as u64;
    }
    found
}
