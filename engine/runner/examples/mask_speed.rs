//! How fast output is masked: `cargo run --release -p piton-runner --example mask_speed`.

use std::time::Instant;

use piton_runner::secrets::masker::{Masker, Masking};
use secrecy::SecretString;

fn main() {
    let log =
        "2026-11-21T13:14:02Z host1 qemu[4711]: domain web1 is running, memory 4096 MiB, disk /data/vms/web1.qcow2\n";
    let token = "tok_8fQ2zLr0+/x'9-Jk4w7VbN1sYcHd3mTgA5uEoPi6";
    let key: String =
        (0..48).map(|line| format!("{line:02}MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJ\n")).collect();
    for (what, secrets) in [("a token", vec![token]), ("a key of 48 lines", vec![&*key]), ("both", vec![token, &key])] {
        let texts: Vec<SecretString> = secrets.iter().map(|text| SecretString::from(*text)).collect();
        let begun = Instant::now();
        let masker = Masker::new(&texts).expect("they are not too long");
        let made = begun.elapsed();
        for (kind, line) in [("log lines", log.to_owned()), ("lines with the token", format!("{log}{token}\n"))] {
            let chunk = line.repeat(128 * 1024 / line.len());
            let mut masking = Masking::new(masker.clone());
            let mut out = Vec::new();
            let begun = Instant::now();
            let mut bytes = 0;
            while bytes < 256 << 20 {
                out.clear();
                masking.push(chunk.as_bytes(), &mut out);
                bytes += chunk.len();
            }
            let speed = bytes as f64 / begun.elapsed().as_secs_f64() / 1e6;
            println!("{what}, {kind}: {speed:.0} MB/s (made in {:.1} ms)", made.as_secs_f64() * 1e3);
        }
    }
}
