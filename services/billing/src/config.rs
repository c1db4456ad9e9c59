//! Billing's settings: where the price book is. It is read here, so that what is wrong in it is told together with
//! everything else, before anything starts.

use std::path::PathBuf;

use lowland_host::Settings;

use crate::prices::PriceFile;

/// Billing's settings.
#[derive(Debug)]
pub struct Config {
    /// The price book; absent only if a problem has been noted.
    pub prices: Option<PriceFile>,
}

impl Config {
    /// Reads them; what is wrong is noted in `settings`.
    pub fn read(settings: &mut Settings) -> Self {
        let path: Option<PathBuf> =
            settings.required("LOWLAND_PRICES", "the file of the price book, such as prices.toml");
        let prices = path.and_then(|path| match PriceFile::open(&path) {
            Ok(prices) => Some(prices),
            Err(problem) => {
                settings.problem(format!("LOWLAND_PRICES: {problem}"));
                None
            }
        });
        Self { prices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(prices: Option<String>) -> String {
        let mut settings =
            Settings::from_lookup(move |name| (name == "LOWLAND_PRICES").then(|| prices.clone()).flatten());
        let config = Config::read(&mut settings);
        settings
            .finish()
            .map_or_else(|error| error.to_string(), |()| format!("{:?}", config.prices.is_some()))
    }

    #[test]
    fn a_valid_book_is_wanted() {
        assert!(problems(None).contains("LOWLAND_PRICES is not set"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.toml");
        std::fs::write(&path, "currency = 1\n").unwrap();
        let told = problems(Some(path.display().to_string()));
        assert!(told.contains("line 1: currency") && told.contains("[[version]]"), "{told}");
        std::fs::write(&path, crate::prices::SAMPLE).unwrap();
        assert_eq!(problems(Some(path.display().to_string())), "true");
    }
}
