//! The `piton` binary. All it does is in the library beside it, so that tests can build it under a name of their own.

fn main() -> std::process::ExitCode {
    piton_cli::main()
}
