//! `host`: what a hook may have a host do. Each call is a job of its own, written down before it begins.

use piton_core::expr::{from_dynamic, to_dynamic};
use piton_core::ids::{EnvName, HostName};
use piton_core::run::{CallKind, quote};
use piton_core::value::{Value, to_text};
use piton_runner::hooks::CallSpec;
use rhai::{Array, Dynamic, Engine, NativeCallContext};

use super::{Api, Made};
use crate::explain;

/// How large a file may be that a hook writes, in bytes: Linux takes 128 KiB for one environment variable (execve(2),
/// MAX_ARG_STRLEN).
const MAX_WRITE: usize = 120 << 10;
/// How much of what a failed script printed is said.
const MAX_SAID: usize = 400;

/// Reads a small file. `dd` stops where more would not be told anyway; what it says of itself is left out.
const READ: &str = r#"[ -f "$file" ] || { echo "there is no file $file" >&2; exit 1; }
[ -r "$file" ] || { echo "$file cannot be read" >&2; exit 1; }
exec dd if="$file" bs=65536 count=5 2>/dev/null
"#;

/// Writes a small file in one step: whoever reads it finds the old content or the new one. Owner and permissions of a file
/// that is there are kept.
const WRITE: &str = r#"set -e
new="$file.piton-new"
trap 'rm -f "$new"' EXIT
if [ -e "$file" ]; then cp -p "$file" "$new"; fi
printf %s "$content" > "$new"
if [ -n "$mode" ]; then chmod "$mode" "$new"; fi
mv -f "$new" "$file"
"#;

/// A host, and how it is to be spoken to.
#[derive(Clone)]
pub(super) struct Host {
    api: Api,
    name: HostName,
    user: Option<String>,
    safe: bool,
    /// Where it is spoken to.
    at: String,
}

impl Api {
    /// `host`: the one that the hook's task is on.
    pub(super) fn own_host(&self) -> Option<Dynamic> {
        let name = self.0.order.as_ref()?.hook.attempt.task.host.clone()?;
        Some(Dynamic::from(self.host(name)))
    }

    fn host(&self, name: HostName) -> Host {
        Host {
            api: self.clone(),
            name,
            user: self.0.order.as_ref().and_then(|order| order.text.become_user.clone()),
            safe: false,
            at: String::new(),
        }
    }

    /// Only hosts of the plan: whoever reads the plan can see which hosts a run may touch.
    fn host_named(&self, name: &str) -> Made<Host> {
        let name = HostName::new(name).map_err(|bad| bad.to_string())?;
        let hosts = self.hosts();
        if !name.is_local() && !hosts.contains_key(&name) {
            let near = piton_core::fault::nearest(name.as_str(), hosts.keys().map(HostName::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "those are the hosts of its steps, and of its parameters of type host and hosts".to_owned(),
            };
            return Err(format!("`{name}` is not a host of this run; {hint}").into());
        }
        Ok(self.host(name))
    }
}

impl Host {
    fn spec(&self, kind: CallKind, script: String, env: Vec<(String, String)>, shown: String) -> CallSpec {
        let (host, become_user) = (Some(self.name.clone()), self.user.clone());
        CallSpec { kind, host, become_user, safe: self.safe, script, env, shown, at: self.at.clone() }
    }

    /// The same host, spoken to from there.
    fn from(&self, context: &NativeCallContext<'_>) -> Self {
        let at = explain::place(context.call_source().unwrap_or_default(), context.call_position());
        Self { at, ..self.clone() }
    }

    /// Has it done; whatever its exit status is, that is an answer.
    fn tell(&self, spec: CallSpec) -> Made<Told> {
        let what = format!("{} {}", self.name, spec.kind.word());
        let answer = self.api.call(spec)?;
        let exit = answer.get("exit").and_then(Value::as_i64).unwrap_or(-1);
        if let Some(why) = answer.get("error").and_then(Value::as_str) {
            return Err(format!("{what}: {why}").into());
        }
        let out = answer.get("out").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Told { what, exit, out, outputs: answer.get("outputs").cloned().unwrap_or_default() })
    }

    fn run(&self, script: &str, env: rhai::Map) -> Made<Told> {
        if script.trim().is_empty() || script.contains('\0') {
            return Err("a script is a text that is not empty, without NUL".into());
        }
        self.tell(self.spec(CallKind::Run, script.to_owned(), environment(env)?, script.to_owned()))
    }

    fn exec(&self, words: &Array, env: rhai::Map) -> Made<Told> {
        let words = words.iter().map(word).collect::<Made<Vec<String>>>()?;
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            return Err("`exec` takes a list of a program and its words, such as [\"virsh\", \"list\"]".into());
        }
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        self.tell(self.spec(CallKind::Exec, format!("exec {}\n", quoted.join(" ")), environment(env)?, words.join(" ")))
    }

    fn read(&self, path: &str) -> Made<String> {
        let path = absolute(path)?;
        let spec = self.spec(CallKind::Read, READ.to_owned(), vec![("file".to_owned(), path.clone())], path);
        Ok(self.tell(CallSpec { safe: true, ..spec })?.good()?.out)
    }

    fn write(&self, path: &str, content: &str, mode: &str) -> Made<()> {
        let path = absolute(path)?;
        if content.len() > MAX_WRITE || content.contains('\0') {
            return Err(format!(
                "`write` takes a text of {MAX_WRITE} bytes at most, without NUL; `put` takes any file"
            )
            .into());
        }
        let octal = matches!(mode.len(), 3 | 4) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal && !mode.is_empty() {
            return Err("a file's mode is three or four octal digits, such as \"0644\"".into());
        }
        let shown = format!("{path}, {} bytes", content.len());
        let env = [("file", path.as_str()), ("content", content), ("mode", mode)];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // Written twice, it has the same content.
        let spec = self.spec(CallKind::Write, WRITE.to_owned(), env, shown);
        self.tell(CallSpec { safe: true, ..spec })?.good().map(drop)
    }
}

/// What came of a script.
struct Told {
    what: String,
    exit: i64,
    out: String,
    outputs: Value,
}

impl Told {
    /// The same, if it passed.
    fn good(self) -> Made<Self> {
        if self.exit == 0 {
            return Ok(self);
        }
        let text = self.out.trim();
        let cut = text.char_indices().rev().nth(MAX_SAID).map_or(0, |(at, _)| at);
        let said = if text.is_empty() { String::new() } else { format!(": {}", text[cut..].trim()) };
        Err(format!("{} exited with status {}{said}", self.what, self.exit).into())
    }

    fn map(self) -> rhai::Map {
        let out = self.out.trim_end_matches(['\n', '\r']).to_owned();
        let entries: [(&str, Dynamic); 4] = [
            ("ok", (self.exit == 0).into()),
            ("exit", self.exit.into()),
            ("out", out.into()),
            ("outputs", to_dynamic(&self.outputs)),
        ];
        entries.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

pub(super) fn register(api: &Api, engine: &mut Engine) {
    let own = api.clone();
    engine.register_fn("host", move |name: &str| own.host_named(name));
    let own = api.clone();
    engine.register_fn("hosts", move || -> Array { own.hosts().keys().map(|name| name.as_str().into()).collect() });
    engine.register_type_with_name::<Host>("host");
    engine.register_get("name", |host: &mut Host| host.name.as_str().to_owned());
    engine.register_fn("to_string", |host: &mut Host| host.name.as_str().to_owned());
    engine.register_get("labels", |host: &mut Host| {
        let known = host.api.hosts().get(&host.name).cloned().unwrap_or_default();
        let labels = known.labels.into_iter().map(|(name, value)| (name.as_str().into(), value.into()));
        labels.collect::<rhai::Map>()
    });
    engine.register_get("vars", |host: &mut Host| {
        let known = host.api.hosts().get(&host.name).cloned().unwrap_or_default();
        to_dynamic(&Value::Object(known.vars))
    });
    engine.register_get("ssh", |host: &mut Host| -> Array {
        let known = host.api.hosts().get(&host.name).cloned().unwrap_or_default();
        known.ssh.words(&host.name).into_iter().map(Dynamic::from).collect()
    });
    engine.register_get("safe", |host: &mut Host| Host { safe: true, ..host.clone() });
    engine.register_fn("as_user", |host: &mut Host, user: &str| -> Made<Host> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$' | '@');
        if user.is_empty() || user.len() > 256 || user.starts_with('-') || !user.chars().all(fits) {
            return Err("this is not the name of a user".into());
        }
        Ok(Host { user: Some(user.to_owned()), ..host.clone() })
    });
    engine.register_fn("run", |context: NativeCallContext<'_>, host: &mut Host, script: &str| -> Made<rhai::Map> {
        Ok(host.from(&context).run(script, rhai::Map::new())?.good()?.map())
    });
    engine.register_fn(
        "run",
        |context: NativeCallContext<'_>, host: &mut Host, script: &str, env: rhai::Map| -> Made<rhai::Map> {
            Ok(host.from(&context).run(script, env)?.good()?.map())
        },
    );
    engine.register_fn("try_run", |context: NativeCallContext<'_>, host: &mut Host, script: &str| -> Made<rhai::Map> {
        Ok(host.from(&context).run(script, rhai::Map::new())?.map())
    });
    engine.register_fn(
        "try_run",
        |context: NativeCallContext<'_>, host: &mut Host, script: &str, env: rhai::Map| -> Made<rhai::Map> {
            Ok(host.from(&context).run(script, env)?.map())
        },
    );
    engine.register_fn("exec", |context: NativeCallContext<'_>, host: &mut Host, words: Array| -> Made<rhai::Map> {
        Ok(host.from(&context).exec(&words, rhai::Map::new())?.good()?.map())
    });
    engine.register_fn(
        "exec",
        |context: NativeCallContext<'_>, host: &mut Host, words: Array, env: rhai::Map| -> Made<rhai::Map> {
            Ok(host.from(&context).exec(&words, env)?.good()?.map())
        },
    );
    engine.register_fn(
        "try_exec",
        |context: NativeCallContext<'_>, host: &mut Host, words: Array| -> Made<rhai::Map> {
            Ok(host.from(&context).exec(&words, rhai::Map::new())?.map())
        },
    );
    engine.register_fn(
        "try_exec",
        |context: NativeCallContext<'_>, host: &mut Host, words: Array, env: rhai::Map| -> Made<rhai::Map> {
            Ok(host.from(&context).exec(&words, env)?.map())
        },
    );
    engine.register_fn("read", |context: NativeCallContext<'_>, host: &mut Host, path: &str| {
        host.from(&context).read(path)
    });
    engine.register_fn("write", |context: NativeCallContext<'_>, host: &mut Host, path: &str, content: &str| {
        host.from(&context).write(path, content, "")
    });
    engine.register_fn(
        "write",
        |context: NativeCallContext<'_>, host: &mut Host, path: &str, content: &str, mode: &str| {
            host.from(&context).write(path, content, mode)
        },
    );
    engine.register_fn("boot_id", |context: NativeCallContext<'_>, host: &mut Host| -> Made<String> {
        Ok(host.from(&context).read("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
    });
}

fn absolute(path: &str) -> Made<String> {
    if path.starts_with('/') && !path.contains('\0') {
        Ok(path.to_owned())
    } else {
        let shown: String = path.chars().take(80).collect();
        Err(format!("`{}` is not an absolute path", shown.escape_debug()).into())
    }
}

/// A value as one word of a command.
fn word(value: &Dynamic) -> Made<String> {
    let text = to_text(&from_dynamic(value)?);
    if text.contains('\0') { Err("a word has a NUL character, which no command can take".into()) } else { Ok(text) }
}

fn environment(env: rhai::Map) -> Made<Vec<(String, String)>> {
    let entry = |(name, value): (rhai::Identifier, Dynamic)| {
        EnvName::new(&name).map_err(|bad| bad.to_string())?;
        Ok((name.to_string(), word(&value)?))
    };
    env.into_iter().map(entry).collect()
}
