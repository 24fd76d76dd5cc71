//! What processes have used, as the kernel counts it.

use std::fs;

/// Ticks of a second in `/proc`, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// By a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Seconds in the process's own code.
    pub(crate) user: f64,
    /// Seconds in the kernel on its behalf.
    pub(crate) system: f64,
    /// Bytes that are resident now.
    pub(crate) memory: f64,
}

impl Used {
    /// By the generator, which is this process.
    pub(crate) fn by_this() -> Self {
        Self::by(std::process::id())
    }

    fn by(process: u32) -> Self {
        let stat = read(process, "stat");
        // The name may hold spaces; behind its parenthesis utime and stime are the 12th and 13th.
        let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11);
        let mut seconds = || fields.next().unwrap().parse::<f64>().unwrap() / TICKS;
        let (user, system) = (seconds(), seconds());
        let status = read(process, "status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Self { user, system, memory: kib * 1024.0 }
    }

    /// By a process and the workers that it has started.
    pub(crate) fn by_all_of(process: u32) -> Self {
        let workers = read(process, &format!("task/{process}/children"));
        let workers = workers.split_whitespace().map(|worker| Self::by(worker.parse().unwrap()));
        workers.fold(Self::by(process), |sum, worker| Self {
            user: sum.user + worker.user,
            system: sum.system + worker.system,
            memory: sum.memory + worker.memory,
        })
    }

    /// What was used since `before`; memory is what there is now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let (user, system) = (self.user - before.user, self.system - before.system);
        Self { user, system, memory: self.memory }
    }

    pub(crate) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

fn read(process: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{file}")).unwrap()
}
