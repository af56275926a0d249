use super::*;

fn name() -> ParamName {
    ParamName::new("token").unwrap()
}

async fn fetch(project: &Path, source: SecretSource) -> Result<String, String> {
    let fetched = SystemSecrets::new(project, None).fetch(&name(), &source).await;
    fetched.map(|text| text.expose_secret().to_owned())
}

#[tokio::test]
async fn secrets_come_from_files_commands_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "twofold\nlines\n").unwrap();
    let file = |path: &str| SecretSource::File(path.to_owned());
    let command = |line: &str| SecretSource::Command(line.to_owned());
    assert_eq!(fetch(dir.path(), file("key")).await.unwrap(), "twofold\nlines");
    assert_eq!(fetch(dir.path(), command("head -1 key; echo x >&2")).await.unwrap(), "twofold");
    // Every test has PATH, and no test may set a variable.
    assert_eq!(fetch(dir.path(), SecretSource::Env("PATH".to_owned())).await.unwrap(), std::env::var("PATH").unwrap());
}

#[tokio::test]
async fn what_cannot_be_had_or_used_is_said_without_saying_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("empty", "\n"), ("short", "abc"), ("stars", "*****"), ("long", &"x".repeat(LONGEST + 9))] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::write(dir.path().join("binary"), b"\xff\xfe\xfd\xfc").unwrap();
    std::fs::write(dir.path().join("nul"), b"abcd\0efgh").unwrap();
    let long = format!("it has more than {LONGEST} bytes");
    for (source, says) in [
        ("file:empty", "it is empty"),
        ("file:short", "it has fewer than 4 bytes"),
        ("file:stars", "it consists of asterisks"),
        ("file:long", &long),
        ("file:binary", "is not UTF-8"),
        ("file:nul", "it has a NUL character"),
        ("file:absent", "cannot be read: No such file or directory"),
        ("env:PITON_NO_SUCH_VARIABLE", "the environment variable PITON_NO_SUCH_VARIABLE is not set"),
        ("cmd:echo hunter2hunter2; exit 3", "failed (exit status: 3)"),
        ("cmd:true", "it is empty"),
        ("prompt", "it was typed in"),
    ] {
        let why = fetch(dir.path(), SecretSource::parse(source).unwrap()).await.unwrap_err();
        assert!(why.contains(says), "{source}: {why}");
        assert!(!why.contains("abc") && !why.contains("xxx"), "{why}");
    }
}

#[tokio::test]
async fn a_mark_tells_that_a_secret_changed_and_nothing_else() {
    let secret = |text: &str| SecretString::from(text);
    let marks = |key: u8| SystemSecrets::new(Path::new("/"), Some([key; 32]));
    let other = ParamName::new("other").unwrap();
    let mark = marks(1).mark(&name(), &secret("hunter2"));
    assert_eq!(mark, marks(1).mark(&name(), &secret("hunter2")));
    assert_ne!(mark, marks(1).mark(&name(), &secret("hunter3")));
    assert_ne!(mark.split_once(':').unwrap().1, marks(1).mark(&other, &secret("hunter2")).split_once(':').unwrap().1);
    assert_ne!(mark.split_once(':').unwrap().0, marks(2).mark(&name(), &secret("hunter2")).split_once(':').unwrap().0);
}

#[tokio::test]
async fn it_is_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let source = SecretSource::Command("echo x >>asked; echo hunter2".to_owned());
    let secrets = SystemSecrets::new(dir.path(), None);
    for _ in 0..2 {
        assert_eq!(secrets.fetch(&name(), &source).await.unwrap().expose_secret(), "hunter2");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("asked")).unwrap(), "x\n");
    assert!(secrets.must_ask(&ParamName::new("other").unwrap(), &SecretSource::Prompt));
    secrets.give(ParamName::new("other").unwrap(), SecretString::from("typed in"));
    assert!(!secrets.must_ask(&ParamName::new("other").unwrap(), &SecretSource::Prompt));
}
