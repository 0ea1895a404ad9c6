//! Which known word someone probably meant. Bounded: long words and long lists are not looked at.

/// The one of `known` that is written most like `word`, where it is like enough.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = fold(word)?;
    // Two slips, and fewer in a short word.
    let most = 2.min(word.len() / 2);
    let close = known.take(MAX_KNOWN).filter_map(|candidate| {
        let slips = distance(&word, &fold(candidate)?, most)?;
        Some((slips, candidate))
    });
    close
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

const MAX_KNOWN: usize = 100;
const MAX_BYTES: usize = 32;

/// A word without what is easily confused: case, and `-` for `_`.
fn fold(word: &str) -> Option<Vec<char>> {
    let fits = word.len() <= MAX_BYTES;
    fits.then(|| word.replace('_', "-").to_ascii_lowercase().chars().collect())
}

/// How many letters have to be put in, left out, exchanged, or swapped with the next (optimal string alignment); `None` if more
/// than `most`.
fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut last_but_one: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut slips = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                slips = slips.min(last_but_one[j - 1] + 1);
            }
            row.push(slips);
        }
        if row.iter().chain(&last).all(|slips| *slips > most) {
            return None;
        }
        last_but_one = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|slips| *slips <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let known = [
            "name",
            "type",
            "cmd",
            "env",
            "image",
            "image-destination",
            "timeout_ms",
            "cpu-limit",
        ];
        for (word, expected) in [
            ("image_destination", Some("image-destination")),
            ("timeout-ms", Some("timeout_ms")),
            ("Name", Some("name")),
            ("tpye", Some("type")),
            ("imag", Some("image")),
            ("cpu-limits", Some("cpu-limit")),
            ("cdm", Some("cmd")),
            ("xyz", None),
            ("", None),
            ("privileged", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn long_words_are_not_looked_at() {
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
    }
}
