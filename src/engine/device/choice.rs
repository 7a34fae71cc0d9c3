//! Where the model computes, and why there.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::catch_unwind;
use std::path::Path;
use std::str::FromStr;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::engine::device::precision::PrecisionRequest;
use crate::engine::device::selftest::{SelfTestReport, self_test, self_test_reduced};
use crate::engine::device::verdicts::Verdicts;
use crate::error::{Error, Kind, Result, candle_words};
use crate::foundation::panics::panic_message;
use crate::kernels::cuda::{self, Operator};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// The first accelerator that works, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            other => other
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "expected auto, cpu, cuda, cuda:N or metal".into()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => write!(f, "metal"),
        }
    }
}

/// The device in use, with the reason in words.
#[derive(Debug, Clone)]
pub struct ChosenDevice {
    pub device: Device,
    pub name: String,
    pub reason: String,
}

/// Opens the device of `choice`. An accelerator is first checked against the CPU, once by each version. `auto` falls back to
/// the CPU and says why; a device asked for by name that does not work, or computes wrongly, is an error.
///
/// # Errors
/// `Device`, with the reason and the way on.
pub fn open_device(choice: DeviceChoice) -> Result<ChosenDevice> {
    open_if(choice, |device| {
        VERDICTS.check(device, passes).map(with_operators)
    })
}

/// As [`open_device`], but for a window that has to go on: the CPU instead of a device that does not work, with the reason
/// and `true`.
pub fn open_device_or_cpu(choice: DeviceChoice) -> (ChosenDevice, bool) {
    match open_device(choice) {
        Ok(chosen) => (chosen, false),
        Err(error) => {
            let why = &error.notice.why;
            (cpu(&format!("{choice} was asked for, but {why}")), true)
        }
    }
}

/// Opens a device that is going to be checked, without asking what a check found before.
///
/// # Errors
/// As [`open_device`].
pub(crate) fn open_unchecked(choice: DeviceChoice) -> Result<ChosenDevice> {
    open_if(choice, Ok)
}

type Opened = Result<ChosenDevice, String>;

fn open_if(choice: DeviceChoice, check: impl Fn(ChosenDevice) -> Opened) -> Result<ChosenDevice> {
    let cuda = |number| open_cuda(number).and_then(&check);
    let metal = || open_metal().and_then(&check);
    match choice {
        DeviceChoice::Cpu => Ok(cpu("you asked for it")),
        DeviceChoice::Cuda(number) => cuda(number).map_err(|why| refused(choice, why)),
        DeviceChoice::Metal => metal().map_err(|why| refused(choice, why)),
        DeviceChoice::Auto if cfg!(feature = "cuda") => Ok(cuda(0).unwrap_or_else(|why| cpu(&why))),
        DeviceChoice::Auto if cfg!(feature = "metal") => {
            Ok(metal().unwrap_or_else(|why| cpu(&why)))
        }
        DeviceChoice::Auto => Ok(cpu("this build has no accelerator support")),
    }
}

/// What was found of this machine's accelerators.
static VERDICTS: Verdicts = Verdicts::new();

/// Keeps in a file of the user's what the self-test found on each accelerator, so that the next start need not run it.
pub fn remember_devices_in(file: &Path) {
    VERDICTS.remember_in(file);
}

/// Takes over what a test asked for by the user found.
pub(crate) fn judge_by(report: &SelfTestReport) {
    VERDICTS.set(&report.device, objection(report));
    keep_operators(&report.device);
}

fn operator_name(device: &str, operator: Operator) -> String {
    format!("{device}, {operator}")
}

/// Remembers which fused operators the self-test, which has just run, found at fault on `device`.
fn keep_operators(device: &str) {
    let faults: BTreeMap<_, _> = cuda::faults().into_iter().collect();
    VERDICTS.set_all(Operator::ALL.map(|operator| {
        let name = operator_name(device, operator);
        (name, faults.get(&operator).cloned())
    }));
}

/// An accelerator with the fused operators that the self-test, now or at an earlier start, had nothing against; the others are named.
fn with_operators(mut device: ChosenDevice) -> ChosenDevice {
    let known = |operator| VERDICTS.get(&operator_name(&device.name, operator));
    if known(Operator::Block).is_none() {
        keep_operators(&device.name);
    }
    for operator in Operator::ALL {
        let fault = known(operator).flatten();
        cuda::set_faulty(operator, fault);
    }
    let faults = cuda::faults();
    for (operator, why) in &faults {
        device.reason += &format!("; {operator} runs in its slow form ({why})");
    }
    device
}

/// Lets training on `chosen` compute with reduced precision until what it gives is dropped: on CUDA, where a self-test of its own,
/// once by each version, found training to stay right with it.
pub(crate) fn reduced_precision(chosen: &ChosenDevice) -> Option<PrecisionRequest> {
    if !chosen.device.is_cuda() {
        return None;
    }
    let reduced = ChosenDevice {
        name: format!("{}, TF32", chosen.name),
        ..chosen.clone()
    };
    let judge = |device: &ChosenDevice| verdict(self_test_reduced(device, &()));
    match VERDICTS.check(reduced, judge) {
        Ok(_) => Some(PrecisionRequest::fast()),
        Err(why) => {
            log::warn!("training keeps full precision: {why}");
            None
        }
    }
}

/// Why the device may not be used, if it may not.
fn passes(device: &ChosenDevice) -> Option<String> {
    verdict(self_test(device, &()))
}

fn verdict(tested: Result<SelfTestReport>) -> Option<String> {
    match tested {
        Ok(report) => objection(&report),
        Err(error) => Some(error.to_string()),
    }
}

fn objection(report: &SelfTestReport) -> Option<String> {
    let failed = report.checks.iter().filter(|check| !check.has_passed());
    let names: Vec<_> = failed.map(|check| check.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let (device, names) = (&report.device, names.join(", "));
        format!("{device} computes wrongly ({names})")
    })
}

fn cpu(reason: &str) -> ChosenDevice {
    ChosenDevice {
        device: Device::Cpu,
        name: format!("CPU, {} threads", rayon::current_num_threads()),
        reason: reason.to_owned(),
    }
}

fn refused(choice: DeviceChoice, why: String) -> Error {
    Error::new(
        Kind::Device,
        format!("could not use the device {choice}"),
        why,
        "Choose another device, or let Tessera choose",
    )
}

fn open_cuda(number: usize) -> Result<ChosenDevice, String> {
    if !cfg!(feature = "cuda") {
        return Err("this build has no CUDA support".into());
    }
    if let Some(missing) = missing_cuda_library() {
        return Err(missing);
    }
    // candle panics where a library lacks what it needs.
    let opened = catch_unwind(|| Device::new_cuda(number)).map_err(|panic| {
        format!(
            "the CUDA libraries do not fit this build ({})",
            panic_message(panic.as_ref())
        )
    })?;
    let device = opened.map_err(|error| cuda_words(&error, number))?;
    cuda::prepare(&device).map_err(|error| cuda_words(&error, number))?;
    Ok(ChosenDevice {
        name: cuda_name(&device, number),
        device,
        reason: "an NVIDIA GPU was found".into(),
    })
}

fn cuda_words(error: &candle_core::Error, number: usize) -> String {
    let said = candle_words(error);
    if said.contains("CUDA_ERROR_NO_DEVICE") {
        return "no NVIDIA GPU was found".to_owned();
    }
    if said.contains("CUDA_ERROR_INVALID_DEVICE") {
        return format!("there is no NVIDIA GPU of number {number}");
    }
    format!("the NVIDIA driver could not open it ({said})")
}

/// Model and driver: what the self-test found of one holds for no other.
#[cfg(feature = "cuda")]
fn cuda_name(device: &Device, number: usize) -> String {
    use candle_core::cuda_backend::cudarc::driver::sys::cuDriverGetVersion;

    let device = device.as_cuda_device().ok();
    let model = device.and_then(|device| device.cuda_stream().context().name().ok());
    let model = model.unwrap_or_else(|| "NVIDIA GPU".to_owned());
    let mut driver = 0;
    // SAFETY: writes one integer, where it is told.
    let _ = unsafe { cuDriverGetVersion(&mut driver) };
    let (major, minor) = (driver / 1000, driver % 1000 / 10);
    format!("{model} (CUDA device {number}, driver for CUDA {major}.{minor})")
}

#[cfg(not(feature = "cuda"))]
fn cuda_name(_: &Device, number: usize) -> String {
    format!("CUDA device {number}")
}

/// Which library is not there, in words, and how to get it.
#[cfg(feature = "cuda")]
fn missing_cuda_library() -> Option<String> {
    const TOOLKIT: &str = "install the CUDA toolkit 13 (or 12)";
    const LIBRARIES: [(&str, &[&str], &str); 4] = [
        (
            "the NVIDIA driver",
            &["libcuda.so.1", "libcuda.so", "nvcuda.dll"],
            "install the driver of your NVIDIA card",
        ),
        (
            "cuBLAS",
            &[
                "libcublas.so.13",
                "libcublas.so.12",
                "libcublas.so",
                "cublas64_13.dll",
                "cublas64_12.dll",
            ],
            TOOLKIT,
        ),
        (
            "cuRAND",
            &["libcurand.so.10", "libcurand.so", "curand64_10.dll"],
            TOOLKIT,
        ),
        (
            "NVRTC",
            &[
                "libnvrtc.so.13",
                "libnvrtc.so.12",
                "libnvrtc.so",
                "nvrtc64_130_0.dll",
                "nvrtc64_120_0.dll",
            ],
            TOOLKIT,
        ),
    ];
    let is_there = |name: &str| {
        // SAFETY: a system library that the CUDA backend would load next anyway; its initialisers are NVIDIA's.
        unsafe { libloading::Library::new(name) }.is_ok()
    };
    let missing = LIBRARIES
        .iter()
        .find(|(_, names, _)| !names.iter().any(|name| is_there(name)));
    missing.map(|(what, _, how)| format!("{what} was not found; {how}"))
}

#[cfg(not(feature = "cuda"))]
fn missing_cuda_library() -> Option<String> {
    None
}

fn open_metal() -> Result<ChosenDevice, String> {
    if !cfg!(feature = "metal") {
        return Err("this build has no Metal support".into());
    }
    // candle panics where no Metal device is listed.
    let opened = catch_unwind(|| Device::new_metal(0)).map_err(|panic| {
        format!(
            "no Metal device was found ({})",
            panic_message(panic.as_ref())
        )
    })?;
    Ok(ChosenDevice {
        device: opened.map_err(|error| candle_words(&error))?,
        name: "Metal".into(),
        reason: "an Apple GPU was found".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for choice in [
            DeviceChoice::Auto,
            DeviceChoice::Cpu,
            DeviceChoice::Cuda(3),
            DeviceChoice::Metal,
        ] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("CUDA".parse(), Ok(DeviceChoice::Cuda(0)));
        assert!("cuda:x".parse::<DeviceChoice>().is_err());
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn auto_always_opens_and_says_why() {
        let chosen = open_device(DeviceChoice::Auto).unwrap();
        assert!(!chosen.reason.is_empty());
        if cfg!(not(any(feature = "cuda", feature = "metal"))) {
            assert!(chosen.device.is_cpu());
            let error = open_device(DeviceChoice::Cuda(0)).unwrap_err();
            assert_eq!(error.kind, Kind::Device);
        }
    }
}
