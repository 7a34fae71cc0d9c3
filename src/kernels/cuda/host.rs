//! The CPU in place of a card: the kernels compiled as C++, for tests.

use std::ffi::c_void;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{CpuStorage, Result, Storage};
use gemm::Parallelism;
use libloading::{Library, Symbol};

use super::machine::{Arg, Grid, Kernel, Machine, Memory, Product, Values};

/// How the library starts a kernel: blocks in x and y, threads, whether these cooperate, and the arguments' addresses.
type Entry = unsafe extern "C" fn(u32, u32, u32, i32, *mut *mut c_void);

/// The compiled kernels. They keep what blocks share in static memory, so one at a time runs.
static LIBRARY: OnceLock<Mutex<Library>> = OnceLock::new();

fn library() -> &'static Mutex<Library> {
    LIBRARY.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels/cuda");
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let file = folder.path().join("kernels.so");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let output = Command::new(&compiler)
            .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off"])
            .args(["-Wall", "-Werror", "-Wno-unknown-pragmas", "-o"])
            .arg(&file)
            .arg(sources.join("host.cpp"))
            .output()
            .unwrap_or_else(|why| panic!("this test needs a C++ compiler ({compiler}): {why}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        // SAFETY: it has no initialisers but those of empty containers.
        let library = unsafe { Library::new(&file) };
        Mutex::new(library.expect("the library that was just made"))
    })
}

struct Host;

/// Values on either side of memory that nobody may write to.
const GUARD: usize = 64;

/// Memory between guards. All of it begins as NaN: what a kernel reads before it was written, or beyond its end, shows in the results.
struct Guarded(Vec<f32>);

impl Drop for Guarded {
    fn drop(&mut self) {
        let (first, rest) = self.0.split_at(GUARD);
        let is_whole = |guard: &[f32]| guard.iter().all(|v| v.to_bits() == f32::NAN.to_bits());
        let is_kept = is_whole(first) && is_whole(&rest[rest.len() - GUARD..]);
        assert!(
            is_kept || std::thread::panicking(),
            "a kernel wrote beyond its memory"
        );
    }
}

pub(super) fn machine() -> Result<Rc<dyn Machine>> {
    Ok(Rc::new(Host))
}

impl Machine for Host {
    fn alloc(&self, count: usize) -> Result<Memory> {
        let guarded = Guarded(vec![f32::NAN; count + 2 * GUARD]);
        Ok(Memory {
            at: guarded.0[GUARD..].as_ptr() as u64,
            len: count,
            owner: Box::new(guarded),
        })
    }

    fn upload(&self, words: &[u32]) -> Result<Memory> {
        // In words of twice the size, so that the tables' addresses are aligned.
        let mut values = vec![0u64; words.len().div_ceil(2)];
        bytemuck::cast_slice_mut(&mut values)[..words.len()].copy_from_slice(words);
        Ok(Memory {
            at: values.as_ptr() as u64,
            len: words.len(),
            owner: Box::new(values),
        })
    }

    fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()> {
        // A test that failed while it ran a kernel leaves the others theirs.
        let library = library().lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("shim_{}", kernel.name());
        // SAFETY: host.cpp gives every kernel an entry of this type.
        let entry: Symbol<'_, Entry> =
            unsafe { library.get(name.as_bytes()) }.expect("host.cpp lists all kernels");
        let mut addresses: Vec<*mut c_void> = (args.iter())
            .map(|arg| match arg {
                Arg::At(value) => (value as *const u64).cast_mut().cast(),
                Arg::Int(value) => (value as *const i32).cast_mut().cast(),
                Arg::Long(value) => (value as *const i64).cast_mut().cast(),
                Arg::Float(value) => (value as *const f32).cast_mut().cast(),
            })
            .collect();
        // SAFETY: the caller vouches for arguments and memory.
        unsafe {
            entry(
                grid.x as u32,
                grid.y as u32,
                grid.threads,
                i32::from(kernel.cooperates()),
                addresses.as_mut_ptr(),
            );
        }
        Ok(())
    }

    fn product(&self, product: Product) -> Result<()> {
        let Product {
            m, n, k, a, b, c, ..
        } = product;
        assert!(a.len >= m * k && b.len >= k * n && c.len >= m * n);
        let strides = |is_turned: bool, rows: usize, columns: usize| {
            if is_turned {
                (rows as isize, 1)
            } else {
                (1, columns as isize)
            }
        };
        let (a_column, a_row) = strides(product.is_a_turned, m, k);
        let (b_column, b_row) = strides(product.is_b_turned, k, n);
        // SAFETY: the sizes are asserted, and the addresses are those of memory that the caller keeps.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.at as *mut f32,
                1,
                n as isize,
                product.accumulate,
                a.at as *const f32,
                a_column,
                a_row,
                b.at as *const f32,
                b_column,
                b_row,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        Ok(())
    }

    fn storage(&self, memory: Memory, values: Values) -> Result<Storage> {
        let Ok(owned) = memory.owner.downcast::<Guarded>() else {
            candle_core::bail!("the memory is not the host's");
        };
        let inner = &owned.0[GUARD..GUARD + memory.len];
        Ok(Storage::Cpu(match values {
            Values::F32 => CpuStorage::F32(inner.to_vec()),
            Values::U32 => CpuStorage::U32(inner.iter().map(|value| value.to_bits()).collect()),
        }))
    }
}
