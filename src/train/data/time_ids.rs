//! SDXL's micro-conditioning (<https://arxiv.org/abs/2307.01952>, section 2.2): the network knows
//! the size and crop of each image.

use lora_data::Item;
use lora_data::bucket::letterbox_crop_ltrb;

use crate::config::Compat;

/// SDXL's `time_ids` of an image: original height and width, top and left of the crop, target
/// height and width.
pub(crate) fn time_ids(item: &Item, crop: [u32; 2], flipped: bool, compat: Compat) -> [f32; 6] {
    let (original, target) = (item.size, item.selection.bucket);
    let [left, top] = match compat {
        Compat::None => crop.map(|offset| offset as f32),
        Compat::SdScripts => {
            let [left, top, right, _] = letterbox_crop_ltrb(target, original);
            let left = if flipped {
                f64::from(target.width) - right
            } else {
                left
            };
            [left.trunc() as f32, top.trunc() as f32]
        }
    };
    let side = |side: u32| side as f32;
    [
        side(original.height),
        side(original.width),
        top,
        left,
        side(target.height),
        side(target.width),
    ]
}

#[cfg(test)]
mod tests {
    use lora_data::{BucketConfig, Buckets, CaptionSource, Size};

    use super::*;

    #[test]
    fn time_ids_follow_size_and_crop() {
        let buckets = Buckets::new(BucketConfig {
            max_bucket_reso: 2048,
            ..BucketConfig::new(Size::new(1024, 1024))
        })
        .unwrap();
        let size = Size::new(1000, 1200);
        let selection = buckets.select(size).unwrap();
        assert_eq!(
            (selection.bucket, selection.resized),
            (Size::new(960, 1088), Size::new(960, 1152))
        );
        let item = Item {
            path: "a.png".into(),
            image: None,
            caption: String::new(),
            caption_source: CaptionSource::Missing,
            subset: 0,
            repeats: 1,
            is_validation: false,
            size,
            selection,
            mask: None,
        };
        let ids = |crop, flipped, compat| time_ids(&item, crop, flipped, compat);
        // What does not fit is cut at top and bottom.
        assert_eq!(
            ids([0, 32], false, Compat::None),
            [1200.0, 1000.0, 32.0, 0.0, 1088.0, 960.0]
        );
        // The whole image fitted into the bucket is 906.7 wide and begins at 26.
        assert_eq!(
            ids([0, 32], false, Compat::SdScripts),
            [1200.0, 1000.0, 0.0, 26.0, 1088.0, 960.0]
        );
        assert_eq!(
            ids([0, 32], true, Compat::SdScripts),
            [1200.0, 1000.0, 0.0, 27.0, 1088.0, 960.0]
        );
    }
}
