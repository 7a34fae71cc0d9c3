//! Tessera without a window: arguments → job → events printed → exit code.

#[path = "tessera-cli/args.rs"]
mod args;
#[path = "tessera-cli/commands.rs"]
mod commands;
#[path = "tessera-cli/demo.rs"]
mod demo;
#[path = "tessera-cli/generate.rs"]
mod generate;
#[path = "tessera-cli/print.rs"]
mod print;
#[path = "tessera-cli/runner.rs"]
mod runner;

use std::process::ExitCode;

use clap::Parser;
use tessera::error::{Kind, Result};
use tessera::settings::Folders;

use args::Args;
use print::Printer;
use runner::Runner;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const READER_LEFT: u8 = 141;

fn main() -> ExitCode {
    tessera::process::configure();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let args = Args::parse();
    let mut printer = Printer::new(args.json, args.quiet);
    let done = run(&args, &mut printer);
    let printed = printer.end();
    match done.and(printed) {
        Ok(()) => ExitCode::SUCCESS,
        // As a program that ends by SIGPIPE: whoever read the output knows that it is not whole.
        Err(_) if printer.has_lost_its_reader() => ExitCode::from(READER_LEFT),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(match error.kind {
                Kind::Cancelled => runner::CANCELLED,
                Kind::Usage => USAGE,
                _ => FAILED,
            })
        }
    }
}

fn run(args: &Args, printer: &mut Printer) -> Result<()> {
    tessera::engine::set_plain_ops(args.plain_ops);
    // Without a place for preferences the accelerators are looked at in each process.
    if let Ok(folders) = Folders::find() {
        tessera::engine::remember_devices_in(&folders.devices_file());
    }
    let runner = Runner::start()?;
    commands::run(args, &runner, printer)
}
