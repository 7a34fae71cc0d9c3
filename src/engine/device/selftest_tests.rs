//! Tests of the self-test.

use super::*;
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::kernels::fused_on;

#[test]
fn the_cpu_agrees_with_plain_operators() {
    let chosen = open_device(DeviceChoice::Cpu).unwrap();
    let report = self_test(&chosen, &()).unwrap();
    assert!(report.has_passed(), "{:#?}", report.lines());
    assert_eq!(report.checks.len(), CHECKS.len());
    let compared = report
        .checks
        .iter()
        .filter(|check| check.difference > Some(0.0));
    assert!(
        compared.count() >= 6,
        "fused and plain operators both ran: {report:?}"
    );
}

#[test]
fn the_kernels_for_accelerators_pass_where_the_cpu_stands_in_for_one() {
    // The base model would take minutes there.
    for (name, compute, tolerance, _) in &CHECKS[..CHECKS.len() - 1] {
        let found = cuda::with_stand_in(|| compared(*compute, &Device::Cpu)).unwrap();
        assert!(found <= *tolerance, "{name}: {found}");
    }
}

#[test]
fn an_operator_that_is_wrong_gives_way_and_the_device_stays_in_use() {
    fn wrong_if_fused(device: &Device) -> Result<Vec<f32>> {
        let is_fused = cuda::is_fused(device, Operator::TextureLoss);
        Ok(vec![if is_fused { 1.01 } else { 1.0 }, -2.0])
    }
    let checks: [Check; 1] = [("x", wrong_if_fused, 1e-3, Some(Operator::TextureLoss))];
    let chosen = open_device(DeviceChoice::Cpu).unwrap();
    let report = cuda::with_stand_in(|| run(&checks, &chosen, &())).unwrap();
    cuda::set_faulty(Operator::TextureLoss, None);
    assert!(report.has_passed(), "{report:?}");
    let slow = report.slow_operators.join(" ");
    assert!(
        slow.contains("texture loss") && slow.contains("5.0e-3"),
        "{slow}"
    );
    assert!(report.lines()[1].starts_with("slow"));
}

#[test]
fn reduced_precision_has_checks_of_its_own() {
    let chosen = open_device(DeviceChoice::Cpu).unwrap();
    let report = self_test_reduced(&chosen, &()).unwrap();
    assert!(report.has_passed(), "{:#?}", report.lines());
    assert_eq!(report.checks.len(), REDUCED_CHECKS.len());
}

#[test]
fn wrong_values_errors_and_panics_are_failures() {
    // The reference comes second: what a faulty device gives first differs from it.
    fn faulty(device: &Device) -> Result<Vec<f32>> {
        let value = if fused_on(device) { 1.01 } else { 1.0 };
        Ok(vec![value, -2.0])
    }
    fn not_a_number(device: &Device) -> Result<Vec<f32>> {
        Ok(vec![if fused_on(device) { f32::NAN } else { 0.0 }, 1.0])
    }
    fn broken(_: &Device) -> Result<Vec<f32>> {
        panic!("driver lost")
    }
    let check = |compute: Compute| {
        let found = compared(compute, &Device::Cpu);
        CheckResult {
            name: "x".into(),
            error: found.as_ref().err().map(ToString::to_string),
            difference: found.ok(),
            tolerance: 1e-3,
        }
    };
    let wrong = check(faulty);
    assert!(!wrong.has_passed());
    assert!(
        (wrong.difference.unwrap() - 0.005).abs() < 1e-6,
        "{wrong:?}"
    );
    assert!(!check(not_a_number).has_passed());
    let broken = check(broken);
    assert!(!broken.has_passed() && broken.error.unwrap().contains("driver lost"));
    assert!(fused_on(&Device::Cpu), "the operators are as they were");
}
