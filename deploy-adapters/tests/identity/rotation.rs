//! Keys that change while the server runs.

use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_adapters::identity::KeyFile;
use deploy_testkit::memory::ManualClock;

use crate::issuer::{adas, open, replace, said};

const OLD: &[u8] = b"the old secret is longer than 32 bytes";
const NEW: &[u8] = b"the new secret is longer than 32 bytes";
const PERIOD: Duration = Duration::from_secs(10);
const WRONG: &str = "its signature is wrong";

#[tokio::test]
async fn a_secret_that_was_replaced_counts_ten_seconds_later_and_the_old_one_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock) = (folder.path().join("secret"), ManualClock::default());
    std::fs::write(&file, OLD).unwrap();
    let verifier = open(KeyFile::Secret(file.clone()), &clock);
    let (old, new) = (adas(OLD, None, &clock), adas(NEW, None, &clock));
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
    assert_eq!(said(&verifier, &new).await, WRONG);

    replace(&file, NEW);
    clock.advance(PERIOD - Duration::from_millis(1));
    assert_eq!(
        said(&verifier, &old).await,
        "ada@example.com",
        "it is not looked at yet"
    );
    clock.advance(Duration::from_millis(1));
    assert_eq!(said(&verifier, &new).await, "ada@example.com");
    assert_eq!(said(&verifier, &old).await, WRONG);

    // Written into the same file, of the same length: nothing tells but what is in it.
    std::fs::write(&file, OLD).unwrap();
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_keep_old_keys_alive() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock) = (folder.path().join("secret"), ManualClock::default());
    std::fs::write(&file, OLD).unwrap();
    let verifier = open(KeyFile::Secret(file.clone()), &clock);
    let old = adas(OLD, None, &clock);
    replace(&file, NEW);
    clock.jump_to(deploy_testkit::builders::time(-3600));
    assert_eq!(said(&verifier, &old).await, WRONG);
}

#[tokio::test]
async fn a_file_that_is_gone_or_broken_leaves_the_keys_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock) = (folder.path().join("secret"), ManualClock::default());
    std::fs::write(&file, OLD).unwrap();
    let verifier = open(KeyFile::Secret(file.clone()), &clock);
    let old = adas(OLD, None, &clock);

    std::fs::remove_file(&file).unwrap();
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
    std::fs::create_dir(&file).unwrap();
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, "too short").unwrap();
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, "ada@example.com");

    replace(&file, NEW);
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, WRONG);
}

#[tokio::test]
async fn a_secret_that_kubernetes_mounts_is_swapped_by_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let (root, clock) = (folder.path(), ManualClock::default());
    for (version, secret) in [("..2026_01_01", OLD), ("..2026_01_02", NEW)] {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("secret"), secret).unwrap();
    }
    symlink("..2026_01_01", root.join("..data")).unwrap();
    symlink("..data/secret", root.join("secret")).unwrap();
    let verifier = open(KeyFile::Secret(root.join("secret")), &clock);
    let (old, new) = (adas(OLD, None, &clock), adas(NEW, None, &clock));
    assert_eq!(said(&verifier, &old).await, "ada@example.com");

    symlink("..2026_01_02", root.join("..data_tmp")).unwrap();
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    std::fs::remove_dir_all(root.join("..2026_01_01")).unwrap();
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &new).await, "ada@example.com");
    assert_eq!(said(&verifier, &old).await, WRONG);
}

#[tokio::test]
async fn a_key_that_left_the_set_is_not_believed_and_one_that_came_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock) = (folder.path().join("jwks.json"), ManualClock::default());
    let jwk = |kid: &str, secret: &[u8]| {
        let k = data_encoding::BASE64URL_NOPAD.encode(secret);
        serde_json::json!({"kty": "oct", "kid": kid, "k": k})
    };
    let set = |keys: &[serde_json::Value]| serde_json::json!({"keys": keys}).to_string().into_bytes();
    let (first, second) = (jwk("first", OLD), jwk("second", NEW));
    std::fs::write(&file, set(std::slice::from_ref(&first))).unwrap();
    let verifier = open(KeyFile::Jwks(file.clone()), &clock);
    let (old, new) = (
        adas(OLD, Some("first"), &clock),
        adas(NEW, Some("second"), &clock),
    );
    let unknown = "its header's kid names no key that is believed";
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
    assert_eq!(said(&verifier, &new).await, unknown);

    replace(&file, &set(&[first, second.clone()]));
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, "ada@example.com");
    assert_eq!(said(&verifier, &new).await, "ada@example.com");

    replace(&file, &set(std::slice::from_ref(&second)));
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &old).await, unknown);
    assert_eq!(said(&verifier, &new).await, "ada@example.com");

    // Half of a file is no word about anyone; a set without a key is one about all.
    replace(&file, br#"{"keys": ["#);
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &new).await, "ada@example.com");
    for nobody in [
        set(&[]),
        set(&[serde_json::json!({"kty": "OKP", "kid": "second"})]),
    ] {
        replace(&file, &nobody);
        clock.advance(PERIOD);
        assert_eq!(
            said(&verifier, &new).await,
            "there is no key that is believed now"
        );
    }
    replace(&file, &set(&[second]));
    clock.advance(PERIOD);
    assert_eq!(said(&verifier, &new).await, "ada@example.com");
}
