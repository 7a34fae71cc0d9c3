//! Checking a device on demand.

use crate::engine::device::{DeviceChoice, judge_by, open_unchecked};
use crate::engine::event::Outcome;
use crate::engine::selftest::self_test;
use crate::engine::worker::JobContext;
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::Observer;

/// Compares a device with plain operators on the CPU. Fails where the device does.
pub struct SelfTestJob {
    pub device: DeviceChoice,
}

impl SelfTestJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
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
                "Use `--device cpu`, update the driver, and report this with the lines above",
            ));
        }
        let summary = format!(
            "{} computes as it should: {} checks in {:.1} s.",
            chosen.name,
            report.checks.len(),
            report.seconds
        );
        let json = serde_json::json!({
            "version": report.version,
            "system": report.system,
            "device": report.device,
            "reason": report.reason,
            "checks": report.lines(),
        });
        Ok(Outcome::new(summary).with_report(json))
    }
}
