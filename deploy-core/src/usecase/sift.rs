//! Fills a page with what may be shown: pure. Chunks are read one after the other until the page is full and it is known
//! whether anything more may be shown, or the list ends. So a page is never short, and the place where the list goes on
//! is that of an item that was shown.

use crate::ports::Page;

/// How many items are read at a time once a first look has shown that some may not be shown: a short page must not make
/// many reads of a long list.
const LATER_CHUNKS: usize = 500;

/// A page on its way. `C` is a place in the list.
pub(super) struct Sift<T, C> {
    limit: usize,
    place: fn(&T) -> C,
    after: Option<C>,
    kept: Vec<T>,
    begun: bool,
    ended: bool,
}

impl<T, C: Clone> Sift<T, C> {
    /// A page of at most `limit` items after a place.
    pub(super) fn new(limit: usize, after: Option<&C>, place: fn(&T) -> C) -> Self {
        Self {
            limit,
            place,
            after: after.cloned(),
            kept: Vec::new(),
            begun: false,
            ended: false,
        }
    }

    /// How many items to read next, and after which place; `None` when the page is there.
    pub(super) fn wants(&self) -> Option<(usize, Option<&C>)> {
        let full = self.kept.len() > self.limit;
        // One more than are shown, which tells whether the list goes on.
        let first = self.limit.saturating_add(1);
        let count = if self.begun {
            first.max(LATER_CHUNKS)
        } else {
            first
        };
        (!full && !self.ended).then_some((count, self.after.as_ref()))
    }

    /// Takes what was read, and of it what may be shown.
    pub(super) fn take(&mut self, page: Page<T>, shows: impl Fn(&T) -> bool) {
        self.begun = true;
        self.ended = !page.more || page.items.is_empty();
        if let Some(last) = page.items.last() {
            self.after = Some((self.place)(last));
        }
        let room = self.limit.saturating_add(1).saturating_sub(self.kept.len());
        self.kept.extend(page.items.into_iter().filter(shows).take(room));
    }

    /// The page.
    pub(super) fn into_page(mut self) -> Page<T> {
        let more = self.kept.len() > self.limit;
        self.kept.truncate(self.limit);
        Page {
            items: self.kept,
            more,
        }
    }
}

/// A chunk of a list that does not say whether more follow: there may be, where it is as long as was asked for.
pub(super) fn chunk<T>(items: Vec<T>, asked: usize) -> Page<T> {
    let more = items.len() >= asked;
    Page { items, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sifts the numbers below `of`, of which every `each`th may be shown: the page, and how many were read.
    fn sift(of: u32, each: u32, limit: usize, after: Option<u32>) -> (Vec<u32>, bool, usize) {
        let mut sift = Sift::new(limit, after.as_ref(), |number: &u32| *number);
        let mut read = 0;
        while let Some((count, after)) = sift.wants() {
            let from = after.map_or(0, |after| after + 1);
            let items: Vec<u32> = (from..of).take(count).collect();
            read += items.len();
            let page = chunk(items, count);
            sift.take(page, |number| number % each == 0);
        }
        let Page { items, more } = sift.into_page();
        (items, more, read)
    }

    #[test]
    fn a_page_is_filled_with_what_may_be_shown() {
        assert_eq!(sift(0, 1, 3, None), (vec![], false, 0));
        assert_eq!(sift(3, 1, 3, None), (vec![0, 1, 2], false, 3));
        assert_eq!(sift(4, 1, 3, None), (vec![0, 1, 2], true, 4));
        assert_eq!(sift(40, 10, 3, None), (vec![0, 10, 20], true, 40));
        assert_eq!(sift(30, 10, 3, None), (vec![0, 10, 20], false, 30));
        assert_eq!(sift(40, 10, 3, Some(20)), (vec![30], false, 19));
        assert_eq!(sift(40, 100, 3, Some(0)), (vec![], false, 39));
        // Chunk by chunk, and no further than needed.
        assert_eq!(sift(10_000, 400, 3, None), (vec![0, 400, 800], true, 4 + 3 * 500));
    }

    proptest::proptest! {
        #[test]
        fn pages_put_together_are_the_list(of in 0_u32..1500, each in 1_u32..90, limit in 1_usize..70) {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let (items, more, _) = sift(of, each, limit, after);
                proptest::prop_assert!(items.len() == limit || !more, "a page is short and the list goes on");
                after = items.last().copied();
                all.extend(items);
                if !more {
                    break;
                }
            }
            let expected: Vec<u32> = (0..of).filter(|number| number % each == 0).collect();
            proptest::prop_assert_eq!(all, expected);
        }
    }
}
