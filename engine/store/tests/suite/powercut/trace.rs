//! What a process did to its files, from strace(1): it sees every byte on its way into the kernel.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::child::Other;

/// A file, whatever its names are.
pub(super) type FileId = usize;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Dir,
}

/// Something that was done and had come to its end.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Write {
        file: FileId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: FileId,
        len: usize,
    },
    /// A name was given.
    Name {
        path: PathBuf,
        node: Node,
    },
    /// A name was taken away.
    Unname {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// All that was done to the file before operation `since` is durable.
    SyncFile {
        file: FileId,
        since: usize,
    },
    /// All names given or taken in the directory before operation `since` are durable.
    SyncDir {
        dir: PathBuf,
        since: usize,
    },
    /// The process said that it was told that this event is durable.
    Acknowledged {
        run: u64,
        seq: u64,
    },
}

impl Op {
    /// Whether a store changes its ways here.
    pub(super) fn is_corner(&self) -> bool {
        match self {
            Self::Truncate { .. } | Self::Name { .. } | Self::Unname { .. } | Self::Rename { .. } => true,
            Self::SyncFile { .. } | Self::SyncDir { .. } => true,
            Self::Write { .. } | Self::Acknowledged { .. } => false,
        }
    }
}

/// Has another process work on the store and gives what it did.
pub(super) fn record(spec: &str, state: &Path) -> Vec<Op> {
    let out = tempfile::NamedTempFile::new().unwrap();
    let calls = "trace=openat,open,creat,close,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,\
                 fdatasync,msync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,dup,dup2,dup3,fcntl,link,linkat,\
                 copy_file_range,sendfile,splice,sync,syncfs,io_uring_setup";
    let to = out.path().to_str().unwrap();
    let strace = ["strace", "-f", "-qq", "-s", "16777216", "-e", "signal=none", "-o", to, "-e", calls];
    Other::start_under(&strace, "powercut", spec, state).end();
    let text = String::from_utf8(std::fs::read(out.path()).unwrap()).unwrap();
    let mut recorder = Recorder::of(state);
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (begun.to_owned(), recorder.ops.len()));
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            let (begun, since) = unfinished.remove(thread).unwrap();
            recorder.take(&format!("{begun}{rest}"), since);
        } else {
            recorder.take(call, recorder.ops.len());
        }
    }
    recorder.ops
}

#[derive(Debug, Clone)]
enum Open {
    File(FileId),
    Dir(PathBuf),
    /// Standard output, or nothing of ours.
    Other,
}

struct Recorder {
    root: PathBuf,
    ops: Vec<Op>,
    files: usize,
    names: HashMap<PathBuf, Node>,
    open: HashMap<i64, Open>,
    /// Where `write` goes on in a file.
    positions: HashMap<i64, usize>,
}

impl Recorder {
    fn of(state: &Path) -> Self {
        let (names, open, positions) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { root: state.to_owned(), ops: Vec::new(), files: 0, names, open, positions }
    }

    fn take(&mut self, call: &str, since: usize) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((args, result)) = rest.rsplit_once(" = ") else { return };
        let Some(args) = args.trim_end().strip_suffix(')') else { return };
        let result: i64 = match result.trim().split(' ').next().map(str::parse) {
            Some(Ok(result)) if result >= 0 => result,
            Some(_) | None => return,
        };
        let args = Args::of(args);
        match name {
            "openat" | "open" | "creat" => self.opened(&args, result),
            "close" => drop(self.open.remove(&args.number(0))),
            "dup" => self.dup(args.number(0), result),
            "fcntl" if args.words[1].starts_with("F_DUPFD") => self.dup(args.number(0), result),
            "fcntl" => {}
            "write" => match self.of_fd(&args) {
                Open::Other => self.said(&args.bytes(1)),
                Open::File(file) => {
                    let fd = args.number(0);
                    let offset = self.positions.get(&fd).copied().unwrap_or(0);
                    self.wrote(file, offset, args.bytes(1), result);
                    self.positions.insert(fd, offset + usize::try_from(result).unwrap());
                }
                Open::Dir(_) => panic!("a directory is written: {call:.100}"),
            },
            "lseek" => drop(self.positions.insert(args.number(0), usize::try_from(result).unwrap())),
            "pwrite64" => {
                if let Open::File(file) = self.of_fd(&args) {
                    self.wrote(file, usize::try_from(args.number(3)).unwrap(), args.bytes(1), result);
                }
            }
            "ftruncate" => {
                if let Open::File(file) = self.of_fd(&args) {
                    self.ops.push(Op::Truncate { file, len: usize::try_from(args.number(1)).unwrap() });
                }
            }
            "fsync" | "fdatasync" => match self.of_fd(&args) {
                Open::File(file) => self.ops.push(Op::SyncFile { file, since }),
                Open::Dir(dir) => self.ops.push(Op::SyncDir { dir, since }),
                Open::Other => {}
            },
            "mkdir" | "mkdirat" => {
                if let Some(path) = self.ours(&args) {
                    self.name(path, Node::Dir);
                }
            }
            "unlink" | "unlinkat" => {
                if let Some(path) = self.ours(&args) {
                    self.names.remove(&path);
                    self.ops.push(Op::Unname { path });
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let paths = args.paths();
                if paths[0].starts_with(&self.root) {
                    let (from, to) = (paths[0].clone(), paths[1].clone());
                    let node = self.names.remove(&from).unwrap();
                    self.names.insert(to.clone(), node);
                    self.ops.push(Op::Rename { from, to });
                }
            }
            // Nothing else may touch the store, or this record is not the truth.
            "dup2" | "dup3" | "writev" | "sendfile" | "splice" | "copy_file_range" => {
                assert!(matches!(self.of_fd(&args), Open::Other), "not understood: {call:.100}");
            }
            _ => {
                let ours = args.paths().iter().any(|path| path.starts_with(&self.root));
                let by_fd = args.fd().is_some_and(|_| !matches!(self.of_fd(&args), Open::Other));
                assert!(!ours && !by_fd && name != "io_uring_setup", "not understood: {call:.100}");
            }
        }
    }

    fn wrote(&mut self, file: FileId, offset: usize, mut bytes: Vec<u8>, result: i64) {
        bytes.truncate(usize::try_from(result).unwrap());
        self.ops.push(Op::Write { file, offset, bytes });
    }

    fn opened(&mut self, args: &Args<'_>, fd: i64) {
        self.positions.remove(&fd);
        let Some(path) = args.paths().into_iter().find(|path| path.starts_with(&self.root)) else {
            self.open.insert(fd, Open::Other);
            return;
        };
        let flags = args.words.iter().find(|word| word.starts_with("O_")).copied().unwrap_or("");
        let open = match self.names.get(&path) {
            Some(Node::Dir) => Open::Dir(path),
            Some(Node::File(file)) => Open::File(*file),
            None => {
                let file = self.files;
                self.files += 1;
                self.name(path, Node::File(file));
                Open::File(file)
            }
        };
        if let (Open::File(file), true) = (&open, flags.contains("O_TRUNC")) {
            self.ops.push(Op::Truncate { file: *file, len: 0 });
        }
        assert!(!flags.contains("O_APPEND"), "a file of the store is appended to");
        self.open.insert(fd, open);
    }

    fn name(&mut self, path: PathBuf, node: Node) {
        self.names.insert(path.clone(), node.clone());
        self.ops.push(Op::Name { path, node });
    }

    fn dup(&mut self, from: i64, to: i64) {
        let open = self.open.get(&from).cloned().unwrap_or(Open::Other);
        self.open.insert(to, open);
    }

    fn said(&mut self, bytes: &[u8]) {
        let said = String::from_utf8_lossy(bytes);
        let Some((run, seq)) = said.strip_prefix("@ ").and_then(|said| said.trim().split_once(' ')) else { return };
        self.ops.push(Op::Acknowledged { run: run.parse().unwrap(), seq: seq.parse().unwrap() });
    }

    fn of_fd(&self, args: &Args<'_>) -> Open {
        args.fd().and_then(|fd| self.open.get(&fd)).cloned().unwrap_or(Open::Other)
    }

    fn ours(&self, args: &Args<'_>) -> Option<PathBuf> {
        args.paths().into_iter().find(|path| path.starts_with(&self.root))
    }
}

/// The arguments of a call as strace writes them.
struct Args<'t> {
    words: Vec<&'t str>,
}

impl<'t> Args<'t> {
    fn of(text: &'t str) -> Self {
        let (mut words, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    words.push(text[begin..at].trim());
                    begin = at + 1;
                }
                _ => {}
            }
        }
        words.push(text[begin..].trim());
        Self { words }
    }

    fn number(&self, at: usize) -> i64 {
        self.words[at].parse().unwrap()
    }

    fn fd(&self) -> Option<i64> {
        self.words.first().and_then(|word| word.parse().ok())
    }

    fn paths(&self) -> Vec<PathBuf> {
        let quoted = self.words.iter().enumerate().filter(|(_, word)| word.starts_with('"'));
        quoted.map(|(at, _)| PathBuf::from(String::from_utf8_lossy(&self.bytes(at)).into_owned())).collect()
    }

    /// A quoted string with C's escapes.
    fn bytes(&self, at: usize) -> Vec<u8> {
        let word = self.words[at];
        let inner = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        let inner = inner.unwrap_or_else(|| panic!("cut short: {word:.60}")).as_bytes();
        let (mut bytes, mut at) = (Vec::with_capacity(inner.len()), 0);
        while at < inner.len() {
            if inner[at] != b'\\' {
                bytes.push(inner[at]);
                at += 1;
                continue;
            }
            at += 2;
            bytes.push(match inner[at - 1] {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'v' => 11,
                b'f' => 12,
                digit @ b'0'..=b'7' => {
                    let mut value = u32::from(digit - b'0');
                    let most = at + 2;
                    while at < most.min(inner.len()) && (b'0'..=b'7').contains(&inner[at]) {
                        value = value * 8 + u32::from(inner[at] - b'0');
                        at += 1;
                    }
                    u8::try_from(value).unwrap()
                }
                other => other,
            });
        }
        bytes
    }
}

#[test]
fn strace_s_strings_are_read_byte_by_byte() {
    let args = Args::of(r#"3, "a\"b\\,\n\0\1771\377\07", 9, {x=1, y}"#);
    assert_eq!(args.bytes(1), b"a\"b\\,\n\0\x7f1\xff\x07");
    assert_eq!((args.fd(), args.number(2)), (Some(3), 9));
}
