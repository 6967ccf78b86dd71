//! Images and captions of a run: from the dataset to batches on the device.

pub(crate) mod batch_builder;
pub(crate) mod dataset;
pub(crate) mod feed;
pub(crate) mod host_batch;
pub(crate) mod loader;
pub(crate) mod time_ids;
