//! The price book's file, read again when it changes. A change that is not valid is told and the last valid book stays.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::Book;

/// A price book and the file that it came from.
#[derive(Debug, Clone)]
pub struct PriceFile {
    path: PathBuf,
    seen: Option<Mark>,
    book: Arc<Book>,
}

/// What tells one state of a file from another.
type Mark = (SystemTime, u64);

impl PriceFile {
    /// Reads the book; an error is one text that names the file and every problem in it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let seen = mark(path);
        let book = Arc::new(read(path)?);
        Ok(Self { path: path.to_owned(), seen, book })
    }

    /// The last valid book.
    #[must_use]
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Reads the file again if it changed since it was last looked at. Says whether there is a new book, or why what is
    /// there now cannot be one; the same trouble is told once.
    pub fn refresh(&mut self) -> Result<bool, String> {
        let now = mark(&self.path);
        if now == self.seen {
            return Ok(false);
        }
        self.seen = now;
        let book = read(&self.path)?;
        let changed = book != *self.book;
        self.book = Arc::new(book);
        Ok(changed)
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> Result<Book, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("price book {}: {error}", path.display()))?;
    Book::parse(&text).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("{}, {problem}", path.display())).collect();
        format!("the price book is not valid:\n    {}", lines.join("\n    "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::SAMPLE;

    #[test]
    fn a_change_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.toml");
        std::fs::write(&path, SAMPLE).unwrap();
        let mut file = PriceFile::open(&path).unwrap();
        assert_eq!(file.refresh(), Ok(false));

        std::fs::write(&path, SAMPLE.replace("EUR", "francs")).unwrap();
        assert_eq!(file.refresh(), Ok(true));
        assert_eq!(file.book().currency, "francs");

        std::fs::write(&path, "currency = 1").unwrap();
        let error = file.refresh().unwrap_err();
        assert!(error.contains("prices.toml, line 1: currency"), "{error}");
        assert_eq!(file.book().currency, "francs");
        assert_eq!(file.refresh(), Ok(false), "told once");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = PriceFile::open(Path::new("/nowhere/prices.toml")).unwrap_err();
        assert!(error.contains("/nowhere/prices.toml"), "{error}");
    }
}
