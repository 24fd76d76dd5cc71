//! Where the file is, who may read it, and what is in its place.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use polpo_store::disk::DiskError;
use polpo_store::profiles::{ProfileFile, ProfileFileError, Token};

use crate::world::{NAME, at, clean, empty, key, login, mode, names, saying, set_mode};

const LOCKS: &str = "locks/oauth-refresh";
/// Of `anthropic`, a zero byte and `anthropic:user@example.com`.
const LOCK: &str = "sha256-1b6c3df43e24e7b7fd4bfa4af1c39b2fb678d9993e7b945129854471e15baced";

#[test]
fn a_missing_file_says_nothing_and_is_not_made_by_reading() {
    let (directory, _) = empty();
    let state = directory.path().join("a/state");
    let file = ProfileFile::new(&state);
    assert_eq!(file.path(), state.join(NAME));
    assert!(clean(&file).profiles.is_empty());
    assert!(!state.exists());
    assert!(file.put(&key("anthropic:a"), at(0)).unwrap().is_empty());
    assert_eq!((mode(&state), mode(file.path())), (0o700, 0o600));
    assert_eq!(mode(&state.join("locks")), 0o700);
    assert_eq!(mode(&state.join("locks/auth-profiles.lock")), 0o600);
}

#[test]
fn what_others_may_read_is_made_private_and_said_so() {
    for (directory_mode, file_mode, warned) in
        [(0o700, 0o644, 1), (0o755, 0o600, 1), (0o777, 0o666, 2), (0o700, 0o400, 0)]
    {
        let (directory, file) = saying("{ \"version\": 1 }");
        set_mode(directory.path(), directory_mode);
        set_mode(file.path(), file_mode);
        let warnings = file.read().unwrap().warnings;
        assert_eq!(warnings.len(), warned, "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("was made private")));
        assert_eq!(mode(directory.path()), directory_mode & 0o700);
        assert_eq!(mode(file.path()), file_mode & 0o600);
        clean(&file);
    }
}

#[test]
fn a_directory_for_everyone_is_left_to_everyone() {
    let (directory, file) = empty();
    set_mode(directory.path(), 0o1777);
    let warnings = file.put(&key("anthropic:a"), at(0)).unwrap();
    assert!(warnings[0].contains("is a directory for everyone"), "{warnings:?}");
    assert_eq!(mode(directory.path()), 0o1777);
}

#[test]
fn what_is_read_only_is_not_replaced() {
    let (directory, file) = saying("{ \"version\": 1 }");
    set_mode(file.path(), 0o400);
    let refused = || match file.put(&key("anthropic:a"), at(0)) {
        Err(ProfileFileError::Disk(DiskError::Io { path, action: "written", .. })) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(), file.path());
    set_mode(file.path(), 0o600);
    set_mode(directory.path(), 0o500);
    assert_eq!(refused(), directory.path());
    set_mode(directory.path(), 0o700);
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "{ \"version\": 1 }");
    assert_eq!(names(directory.path()), [NAME]);
}

#[test]
fn a_link_is_followed_and_kept() {
    let (elsewhere, dotfiles) = empty();
    let (state, file) = empty();
    let target = elsewhere.path().join("sub").join("profiles.json");
    symlink(&target, dotfiles.path()).unwrap();
    symlink(dotfiles.path(), file.path()).unwrap();
    assert!(clean(&file).profiles.is_empty());
    for id in ["anthropic:a", "anthropic:b"] {
        file.put(&key(id), at(0)).unwrap();
    }
    assert_eq!(clean(&file).profiles.len(), 2);
    assert_eq!(fs::read_link(file.path()).unwrap(), dotfiles.path());
    assert!(fs::symlink_metadata(&target).unwrap().is_file());
    assert_eq!(names(target.parent().unwrap()), ["profiles.json"]);
    assert_eq!(names(state.path()), [NAME]);

    fs::write(&target, "damaged").unwrap();
    assert!(file.read().unwrap().warnings[0].contains("sub/profiles.json.corrupt-2"));
    assert_eq!(fs::read_link(file.path()).unwrap(), dotfiles.path());
}

#[test]
fn processes_that_reach_one_file_by_different_links_lose_nothing() {
    let (_elsewhere, target) = empty();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let target = &target;
            scope.spawn(move || {
                let (_state, file) = empty();
                symlink(target.path(), file.path()).unwrap();
                for count in 0..10 {
                    file.put(&key(&format!("anthropic:{thread}-{count}")), at(0)).unwrap();
                }
            });
        }
    });
    assert_eq!(clean(&target).profiles.len(), 20);
}

#[test]
fn what_is_no_file_is_refused_and_left() {
    let make: [fn(&Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/dev/null", path).unwrap(),
        |path| symlink(path.parent().unwrap(), path).unwrap(),
        |path| symlink(path, path).unwrap(),
    ];
    for make in make {
        let (_directory, file) = empty();
        make(file.path());
        let before = fs::symlink_metadata(file.path()).unwrap().file_type();
        let error = file.read().unwrap_err();
        assert!(matches!(error, ProfileFileError::Disk(DiskError::NotAFile { .. })), "{error}");
        assert!(error.to_string().contains("is not a regular file; move it away"));
        assert!(matches!(
            file.put(&key("anthropic:a"), at(0)),
            Err(ProfileFileError::Disk(DiskError::NotAFile { .. }))
        ));
        assert_eq!(fs::symlink_metadata(file.path()).unwrap().file_type(), before);
    }
}

#[test]
fn what_is_anothers_is_refused() {
    let (directory, file) = saying("{ \"version\": 1 }");
    for owned in [file.path(), directory.path()] {
        if chown(owned, Some(4_711), None).is_err() {
            return; // Only root can give a file away; the rule itself has a test without.
        }
        for error in [file.read().unwrap_err(), file.put(&key("anthropic:a"), at(0)).unwrap_err()] {
            let ProfileFileError::Disk(DiskError::Foreign { path, owner: 4_711, .. }) = error
            else {
                panic!("{error}")
            };
            assert_eq!(path, owned);
        }
        chown(owned, Some(0), None).unwrap();
    }
}

#[test]
fn a_lock_that_cannot_be_made_is_told() {
    let (directory, file) = empty();
    fs::write(directory.path().join("locks"), "").unwrap();
    let error = file.put(&key("anthropic:a"), at(0)).unwrap_err();
    assert!(error.to_string().contains("locks"), "{error}");
    assert!(!file.path().exists());
}

#[test]
fn one_process_at_a_time_refreshes_a_token() {
    let (directory, file) = empty();
    let id = "anthropic:user@example.com".into();
    let is_locked = || {
        let lock = File::open(directory.path().join(LOCKS).join(LOCK)).unwrap();
        matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    };
    let lock = file.lock_refresh(&id).unwrap();
    assert!(is_locked());
    let other = file.lock_refresh(&"anthropic:other".into()).unwrap();
    file.put(&login(id.as_str()), at(0)).unwrap();
    let token = Token { access: "access-2".into(), refresh: None, expires: None };
    assert!(file.update_token(&id, &token).unwrap());
    drop(other);
    assert!(is_locked());
    drop(lock);
    assert!(!is_locked());
    drop(ProfileFile::new(directory.path()).lock_refresh(&id).unwrap());
}
