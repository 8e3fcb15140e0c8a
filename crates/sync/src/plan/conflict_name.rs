//! The name of the content that loses a conflict: made from its hash, so that any number of replicas make one copy.

use crate::{ContentHash, KEY_BYTES_MAX, Key};

/// Hexadecimal digits of the hash in the name: 64 bits, enough among the versions of one key.
const HASH_DIGITS: usize = 16;

/// Longest segment that a file system takes.
const SEGMENT_BYTES_MAX: usize = 255;

/// Longest ending that is kept: longer ones are no file types but part of the name.
const EXTENSION_BYTES_MAX: usize = 16;

/// The key of a conflict copy: `orders/1.json` becomes `orders/1.conflict-0123456789abcdef.json`. The same key and
/// content give the same name. A name that would get too long is cut before the mark.
///
/// ```
/// use skyloom_sync::{ContentHash, Key, conflict_key};
///
/// let key = conflict_key(&Key::new("a/1.json")?, &ContentHash::of(b"abc"));
/// assert_eq!(key.unwrap().as_str(), "a/1.conflict-6437b3ac38465133.json");
/// # Ok::<(), skyloom_sync::KeyError>(())
/// ```
///
/// None when the folder of the key is so long that no name fits.
#[must_use]
pub fn conflict_key(key: &Key, hash: &ContentHash) -> Option<Key> {
    let (folder, name) = key.split_last();
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= EXTENSION_BYTES_MAX => name.split_at(at),
        _ => (name, ""),
    };
    let mark = format!(".conflict-{}{extension}", hash.prefix(HASH_DIGITS));
    let room = SEGMENT_BYTES_MAX.min(KEY_BYTES_MAX.checked_sub(folder.len())?);
    let mut end = stem.len().min(room.checked_sub(mark.len())?);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    Key::new(format!("{folder}{}{mark}", &stem[..end])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_however_long_the_key() {
        let hash = ContentHash::of(b"abc");
        let name = |key: &str| conflict_key(&Key::new(key).unwrap(), &hash).map(String::from);
        let mark = ".conflict-6437b3ac38465133";
        assert_eq!(name("a"), Some(format!("a{mark}")));
        assert_eq!(name(".env"), Some(format!(".env{mark}")));
        assert_eq!(name("x/a.tar.gz"), Some(format!("x/a.tar{mark}.gz")));
        assert_eq!(
            name("v1.not really an ending"),
            Some(format!("v1.not really an ending{mark}"))
        );
        let long = name(&"ü".repeat(127)).unwrap();
        assert!(long.len() <= SEGMENT_BYTES_MAX && long.ends_with(mark), "{long}");
        assert_eq!(name(&format!("{}/a", "f/".repeat(510).trim_end_matches('/'))), None);
    }
}
