//! Command lines, and what becomes of them.

use clap::CommandFactory as _;

use super::*;

fn parsed(line: &str) -> Result<Command, Stop> {
    let arguments = std::iter::once("deploy-http").chain(line.split_whitespace());
    parse(arguments.map(OsString::from))
}

fn served(line: &str) -> Box<Config> {
    match parsed(line) {
        Ok(Command::Serve(config)) => config,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn without_a_command_it_serves_and_flags_stand_on_either_side() {
    assert_eq!(served("").listen.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(served("--listen 127.0.0.1:0").listen.listen.port(), 0);
    assert_eq!(served("serve --listen [::1]:99").listen.listen.port(), 99);
    assert!(matches!(parsed("demo --once --drain 1s"), Ok(Command::Demo(demo)) if demo.once));
    let check = |line: &str| match parsed(line) {
        Ok(Command::Check { dir, policy }) => (dir, policy),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(check("check some/dir"), (Some("some/dir".into()), None));
    assert_eq!(check("check --policy p.json"), (None, Some("p.json".into())));
    assert_eq!(
        check("check some/dir --policy p.json"),
        (Some("some/dir".into()), Some("p.json".into()))
    );
}

#[test]
fn places_follow_the_data_dir_unless_they_are_given() {
    let storage = served("--data-dir /d").storage;
    assert_eq!(storage.database_file(), PathBuf::from("/d/deploy.db"));
    assert_eq!(storage.templates_folder(), PathBuf::from("/d/templates"));
    let storage = served("--data-dir /d --database sqlite:/x.db --templates /t").storage;
    assert_eq!(
        (storage.database_file(), storage.templates_folder()),
        ("/x.db".into(), "/t".into())
    );
}

#[test]
fn what_is_refused_is_not_repeated() {
    for line in [
        "--git-base-url https://ada:hunter2@git.example/",
        "--database postgres://ada:hunter2@db/x",
        "--listen hunter2",
        "--cluster hunter2",
        "--git-timeout hunter2",
        "--max-connections hunter2",
        "--default-branch hunter2..",
        "demo --git-base-url https://ada:hunter2@git.example/",
        "https://ada:hunter2@git.example/",
        "check x https://ada:hunter2@git.example/",
    ] {
        let stop = parsed(line).unwrap_err();
        assert!(stop.code == 2 && !stop.text.contains("hunter2"), "{}", stop.text);
    }
}

#[test]
fn wrong_configuration_is_one_line_with_the_cure_and_exit_code_2() {
    for (line, expected) in [
        ("--listen 0.0.0.0:80", "say who may assert an identity"),
        (
            "--listen 0.0.0.0:80 --trust-identity everyone",
            "listen on 127.0.0.1",
        ),
        ("--listen-external 0.0.0.0:80", "listen on 127.0.0.1"),
        (
            "--listen-external 127.0.0.1:0",
            "give --jwt-jwks or --jwt-secret-file",
        ),
        ("--listen-external nonsense", "--listen-external <ADDR>"),
        ("--external-prefix apps", "a prefix is /"),
        ("--allowed-origin app.example", "an origin is https://host"),
        ("--allowed-origin https://a.example/", "without a path"),
        ("--trust-identity cidr:10.0.0.1/8", "bits beyond"),
        ("--protect-reads some", "possible values"),
        (
            "--listen 0.0.0.0:80 --trust-identity nobody",
            "listen on 127.0.0.1",
        ),
        ("--listen nonsense", "--listen <ADDR>"),
        ("--git-base-url http://git.example/", "--git-allow-http"),
        (
            "--git-base-url https://u:p@git.example/",
            "a base holds no password",
        ),
        ("--git-base-url https://u@git.example/", "a base holds no user"),
        ("--git-base-url git@git.example:team", "ssh://git@host/path/"),
        (
            "--git-base-url http://git.example/ --git-allow-http --git-credentials-file /f",
            "never sent over http://",
        ),
        ("--git-credentials-file /f", "is for an https:// server"),
        (
            "--git-base-url ssh://git.example/ --git-ssh-key /k --git-known-hosts /h --git-credentials-file /f",
            "is for an https:// server",
        ),
        (
            "--git-base-url http://127.0.0.1/ --git-ca-file /f",
            "--git-ca-file is for",
        ),
        (
            "--git-base-url https://git.example/ --git-ssh-key /k",
            "for an ssh:// server",
        ),
        ("--git-known-hosts /h", "for an ssh:// server"),
        (
            "--git-base-url ssh://git.example/ --git-known-hosts /h",
            "needs --git-ssh-key",
        ),
        (
            "--git-base-url ssh://git.example/ --git-ssh-key /k",
            "ssh-keyscan HOST",
        ),
        ("--database postgres://x", "a database is sqlite:FILE"),
        ("--header-timeout 0s", "it cannot be zero"),
        ("--max-connections 0", "--max-connections"),
        ("--cluster nomad", "possible values: local, kubernetes"),
        ("--kube-context prod", "--cluster kubernetes alone"),
        ("--instance two", "--cluster kubernetes alone"),
        ("--image-pull-secret pull", "--cluster kubernetes alone"),
        ("--require-non-root", "--cluster kubernetes alone"),
        ("--exposure gateway:infra/public", "--cluster kubernetes alone"),
        (
            "--cluster kubernetes --exposure ingress",
            "gateway:NAMESPACE/NAME",
        ),
        (
            "--cluster kubernetes --exposure gateway:public",
            "gateway:NAMESPACE/NAME",
        ),
        (
            "--cluster kubernetes --exposure-auth sso",
            "--exposure gateway:NAMESPACE/NAME",
        ),
        ("--cluster kubernetes --instance Prod", "--instance"),
        ("--cluster kubernetes --kube-context=", "a context has a name"),
        (
            "--cluster kubernetes --listen 0.0.0.0:80",
            "say who may assert an identity",
        ),
        ("demo --cluster kubernetes", "the demo is for --cluster local"),
        ("--trust-identity token-review:x", "loopback, cidr:10.0.0.0/8"),
        ("--jwt-jwks /k", "needs --jwt-issuer and --jwt-audience"),
        (
            "--jwt-jwks /k --jwt-issuer i",
            "needs --jwt-issuer and --jwt-audience",
        ),
        (
            "--jwt-jwks /k --jwt-audience a",
            "needs --jwt-issuer and --jwt-audience",
        ),
        (
            "--jwt-jwks https://i.example/keys",
            "not fetched from a URL in this build",
        ),
        (
            "--jwt-jwks HTTP://i.example/keys",
            "not fetched from a URL in this build",
        ),
        ("--jwt-jwks=", "--jwt-jwks"),
        ("--jwt-jwks /k --jwt-secret-file /s", "cannot be used with"),
        ("--jwt-secret-file /s --jwt-issuer=", "--jwt-issuer"),
        ("--jwt-issuer i", "give --jwt-jwks or --jwt-secret-file"),
        ("--jwt-audience a", "give --jwt-jwks or --jwt-secret-file"),
        ("--jwt-leeway 30s", "give --jwt-jwks or --jwt-secret-file"),
        ("--jwt-secret-file /s --jwt-leeway 6m", "at most 5m"),
        ("--default-branch HEAD", "not a branch"),
        ("--nonsense", "--nonsense"),
        ("check", "<DIR>"),
        ("nonsense", "nonsense"),
    ] {
        let stop = parsed(line).unwrap_err();
        assert_eq!(stop.code, 2, "{line}");
        assert!(
            stop.text.contains(expected) && !stop.text.contains('\n'),
            "{line}: {}",
            stop.text
        );
    }
    for line in [
        "--git-base-url http://git.example/ --git-allow-http",
        "--listen [::ffff:127.0.0.1]:80 --listen-external 127.0.0.1:81 --jwt-secret-file /s",
        "--listen-external 127.0.0.1:81 --protect-reads none",
        // It is this machine's commands that only this machine may reach.
        "--cluster kubernetes --listen 0.0.0.0:80 --trust-identity cidr:10.0.0.0/8",
        "--cluster kubernetes --listen-external 0.0.0.0:81 --jwt-secret-file /s",
        "--cluster kubernetes --kube-context prod --instance two --image-pull-secret pull --require-non-root",
        "--cluster kubernetes --exposure gateway:infra/public --exposure-auth sso",
        "--cluster kubernetes --build-namespace builds --builder-push-secret push --builder-git-secret git",
        "--jwt-secret-file /s",
        "--jwt-secret-file /s --jwt-issuer i --jwt-leeway 0s",
        "--jwt-jwks /k --jwt-issuer https://i.example/ --jwt-audience deploy --jwt-leeway 5m",
        "--git-base-url http://127.0.0.1/ --git-credentials-file /f",
        "--git-base-url https://git.example/ --git-credentials-file /f --git-ca-file /c",
        "--git-base-url ssh://git.example/ --git-ssh-key /k --git-known-hosts /h",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
    }
}

#[test]
fn a_password_in_a_url_is_refused_without_being_shown() {
    for url in [
        "https://u:canary@git.example/",
        "https://canary@git.example/",
        "ssh://git:canary@git.example/",
        "canary:canary@git.example:team",
    ] {
        let stop = parsed(&format!("--git-base-url {url}")).unwrap_err();
        assert!(!stop.text.contains("canary"), "{}", stop.text);
    }
}

#[test]
fn the_help_is_no_error() {
    let stop = parsed("--help").unwrap_err();
    assert_eq!(stop.code, 0);
    assert!(stop.text.contains("--listen"), "{}", stop.text);
}

#[test]
fn every_flag_has_its_variable() {
    for flag in Cli::command()
        .get_arguments()
        .filter(|flag| flag.get_id() != "help" && flag.get_id() != "version")
    {
        let name = flag.get_long().unwrap();
        let expected = format!("DEPLOY_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(
            flag.get_env().and_then(|env| env.to_str()),
            Some(expected.as_str()),
            "{name}"
        );
    }
}

#[test]
fn the_document_lists_exactly_the_flags_with_their_defaults() {
    let document = include_str!("../../../docs/configuration.md");
    let written: Vec<String> = document
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            format!("{} {}", cells[1], cells[2])
        })
        .collect();
    let mut coded: Vec<String> = Vec::new();
    for flag in Cli::command()
        .get_arguments()
        .filter(|flag| flag.get_id() != "help" && flag.get_id() != "version")
    {
        let value = if flag.get_action().takes_values() {
            flag.get_value_names()
                .unwrap()
                .iter()
                .map(|name| format!(" {name}"))
                .collect()
        } else {
            String::new()
        };
        let default = flag
            .get_default_values()
            .first()
            .and_then(|default| default.to_str());
        let default = default.map_or("none".to_owned(), |default| format!("`{default}`"));
        coded.push(format!("`--{}{value}` {default}", flag.get_long().unwrap()));
    }
    assert_eq!(written, coded);
}
