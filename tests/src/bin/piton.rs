//! `piton`, for the tests beside it.

fn main() -> std::process::ExitCode {
    piton_cli::main()
}
