//! Paging as IAM does it: `MaxItems`, `Marker`, `IsTruncated`.

use super::ApiError;

/// Page size when the caller names none.
const DEFAULT: usize = 100;
/// Largest page.
const LARGEST: usize = 1000;

/// What a caller asks of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// `MaxItems`.
    pub max_items: Option<usize>,
    /// `Marker`: opaque, from the page before.
    pub marker: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// The marker of the next page; `None` on the last one.
    pub marker: Option<String>,
}

impl Page {
    fn size(&self, cap: Option<usize>) -> Result<usize, ApiError> {
        let size = self.max_items.unwrap_or(DEFAULT);
        if !(1..=LARGEST).contains(&size) {
            return Err(ApiError::constraint(&size.to_string(), "maxItems", "have value between 1 and 1000"));
        }
        Ok(cap.map_or(size, |cap| size.min(cap.max(1))))
    }

    /// The page's items out of (sort key, item) pairs that come in the order of their keys. `cap`
    /// makes pages shorter than asked for, as IAM may.
    pub(crate) fn cut<K: AsRef<str>, T>(
        &self,
        items: impl Iterator<Item = (K, T)>,
        cap: Option<usize>,
    ) -> Result<Paged<T>, ApiError> {
        let size = self.size(cap)?;
        let start = self.start();
        let mut rest = items.skip_while(|(key, _)| start.is_some_and(|s| key.as_ref() <= s)).peekable();
        let (mut taken, mut last) = (Vec::new(), None);
        while let Some((key, item)) = rest.next_if(|_| taken.len() < size) {
            taken.push(item);
            last = Some(key);
        }
        let more = rest.peek().is_some();
        Ok(Paged { items: taken, marker: last.filter(|_| more).map(|key| format!("m:{}", key.as_ref())) })
    }

    /// The sort key after which this page starts.
    pub(crate) fn start(&self) -> Option<&str> {
        self.marker.as_deref().map(|m| m.strip_prefix("m:").unwrap_or(m))
    }
}
