//! Validation images and the number of regularisation images.

use sha2::{Digest as _, Sha256};

use super::{Dataset, Item};
use crate::notice::{FileSummary, Notice};

impl Dataset {
    /// Keeps a fraction of each dataset's training images out of training. The choice is a function
    /// of the seed and the order of the images.
    pub(super) fn choose_validation_images(&mut self) {
        for (dataset, config) in self.configs.iter().enumerate() {
            let subsets = &mut self.subsets;
            let mut items: Vec<&mut Item> = Vec::new();
            for item in &mut self.items {
                let subset = &subsets[item.subset];
                if subset.dataset == dataset && !subset.config.is_reg {
                    items.push(item);
                }
            }
            let mut order: Vec<usize> = (0..items.len()).collect();
            order.sort_by_cached_key(|index| shuffle_key(config.validation_seed, *index));
            let count = (items.len() as f64 * config.validation_split).round() as usize;
            for index in &order[..count] {
                items[*index].is_validation = true;
                items[*index].repeats = 0;
                subsets[items[*index].subset].images -= 1;
            }
        }
    }

    /// Makes the regularisation images of each dataset as many as its training images: each is used
    /// as often as its folder says until there are enough, then once more each until there are
    /// enough. Images that are not reached are removed.
    pub(super) fn balance(&mut self) {
        for dataset in 0..self.configs.len() {
            self.balance_dataset(dataset);
        }
        let is_unused = |item: &Item| item.repeats == 0 && !item.is_validation;
        let unused = self
            .items
            .iter()
            .filter(|item| is_unused(item))
            .map(|item| item.path.clone());
        self.notices
            .extend(FileSummary::from_paths(unused).map(Notice::UnusedRegularisation));
        self.items.retain(|item| !is_unused(item));
    }

    fn balance_dataset(&mut self, dataset: usize) {
        let mut training_images = 0_usize;
        let mut regularisation: Vec<&mut Item> = Vec::new();
        for item in &mut self.items {
            let subset = &self.subsets[item.subset];
            if subset.dataset != dataset || item.is_validation {
                continue;
            }
            item.repeats = subset.config.num_repeats;
            if subset.config.is_reg {
                regularisation.push(item);
            } else {
                training_images = training_images.saturating_add(item.repeats);
            }
        }
        let mut count = 0_usize;
        for item in &mut regularisation {
            if count >= training_images {
                item.repeats = 0;
            }
            count = count.saturating_add(item.repeats);
        }
        let missing = training_images.saturating_sub(count);
        let images = regularisation.len().max(1);
        // As many whole rounds as fit, then a part of one.
        for (index, item) in regularisation.into_iter().enumerate() {
            item.repeats += missing / images + usize::from(index < missing % images);
        }
    }
}

/// The key by which images are sorted to choose validation images.
fn shuffle_key(seed: u64, index: usize) -> [u8; 32] {
    let words = [seed.to_le_bytes(), (index as u64).to_le_bytes()];
    Sha256::digest(words.concat()).into()
}
