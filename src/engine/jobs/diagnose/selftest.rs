//! Checking a device on demand.

use std::fmt;

use serde::Serialize;

use crate::engine::device::choice::{DeviceChoice, judge_by, open_unchecked};
use crate::engine::device::selftest::self_test;
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::worker::JobContext;
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::Observer;

/// Compares a device with plain operators on the CPU. Fails where the device does.
pub struct SelfTestJob {
    pub device: DeviceChoice,
}

/// A device that computes as it should.
#[derive(Debug, Serialize)]
pub struct DeviceSound {
    /// Tessera's version.
    pub version: String,
    pub system: String,
    pub device: String,
    /// Why this device, in words.
    pub reason: String,
    /// A line each.
    pub checks: Vec<String>,
    #[serde(skip)]
    pub seconds: f64,
}

impl fmt::Display for DeviceSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} computes as it should: {} checks in {:.1} s.",
            self.device,
            self.checks.len(),
            self.seconds
        )
    }
}

impl Report for DeviceSound {}

impl Job for SelfTestJob {
    type Output = DeviceSound;

    fn title(&self) -> &'static str {
        "Checking the device"
    }

    fn run(self, context: &JobContext) -> Result<DeviceSound> {
        let chosen = open_unchecked(self.device)?;
        let report = self_test(&chosen, context)?;
        if !chosen.device.is_cpu() {
            judge_by(&report);
        }
        if !report.has_passed() {
            let mut failed = 0;
            for check in report.checks.iter().filter(|check| !check.has_passed()) {
                failed += 1;
                context.warning(Notice::new(&check.name, check.found(), ""));
            }
            return Err(Error::new(
                Kind::Device,
                format!("the device {} does not compute as it should", chosen.name),
                format!("{failed} of {} checks failed", report.checks.len()),
                "Compute on the CPU, update the driver, and report this with the lines above",
            ));
        }
        Ok(DeviceSound {
            checks: report.lines(),
            version: report.version,
            system: report.system,
            device: report.device,
            reason: report.reason,
            seconds: report.seconds,
        })
    }
}
