//! The dataset of a run.

use std::path::Path;

use lora_data::{
    DataConfig, Dataset, DatasetConfig, DatasetReport, FolderSubsets, Notice, Source, Subset,
    TrainImage, dataset_config, folder_subsets,
};

use crate::config::TrainConfig;
use crate::config::rules::{self, DataFacts};
use crate::error::{Error, Result};
use crate::settings::{DataSettings, DataSource};

/// The datasets of a run, before any image is opened.
#[derive(Debug)]
pub(crate) struct DatasetPlan {
    pub(crate) config: DataConfig,
    /// Files and folders that are ignored.
    pub(crate) notices: Vec<Notice>,
}

/// The name of the images that a program gives, in place of a path.
const IN_MEMORY: &str = "data";

impl DatasetPlan {
    /// Lists folders and reads metadata files. Images that a program gives are added to those of
    /// the settings.
    ///
    /// # Errors
    /// Folders and files that can't be read or are wrong.
    pub(crate) fn new(settings: &DataSettings, images: &[TrainImage]) -> Result<Self> {
        let mut options = settings.options;
        let mut notices = Vec::new();
        let template = &settings.template;
        let in_memory = subset_in_memory(&template.subsets[0], images);
        let datasets = match &settings.source {
            DataSource::DatasetConfig(file) => {
                let read = dataset_config::read(file, template)?;
                options.cache_info = read.cache_info.unwrap_or(options.cache_info);
                let in_memory = in_memory.map(|subset| with_subsets(template, vec![subset]));
                read.datasets.into_iter().chain(in_memory).collect()
            }
            DataSource::Metadata { file, image_dir } => {
                let source = Source::Metadata {
                    file: file.clone(),
                    image_dir: image_dir.clone(),
                };
                let listed = Subset {
                    source,
                    ..template.subsets[0].clone()
                };
                let subsets = std::iter::once(listed).chain(in_memory).collect();
                vec![with_subsets(template, subsets)]
            }
            DataSource::Folders {
                train,
                regularisation,
            } => {
                let template = &template.subsets[0];
                let train = match train {
                    // The images of the program may be all that there are.
                    None if in_memory.is_some() => None,
                    train => Some(train.as_deref().unwrap_or(Path::new(""))),
                };
                let found = folders(template, train, regularisation.as_deref())?;
                notices = found.notices;
                let subsets = found.subsets.into_iter().chain(in_memory).collect();
                vec![with_subsets(&settings.template, subsets)]
            }
        };
        Ok(Self {
            config: DataConfig { datasets, options },
            notices,
        })
    }
}

fn with_subsets(template: &DatasetConfig, subsets: Vec<Subset>) -> DatasetConfig {
    DatasetConfig {
        subsets,
        ..template.clone()
    }
}

/// The subset of the images that a program gives, if it gives any.
fn subset_in_memory(template: &Subset, images: &[TrainImage]) -> Option<Subset> {
    (!images.is_empty()).then(|| Subset {
        source: Source::Images {
            name: IN_MEMORY.into(),
            images: images.into(),
        },
        conditioning_data_dir: None,
        ..template.clone()
    })
}

/// The subsets of the folders, first those of training images.
fn folders(
    template: &Subset,
    train: Option<&Path>,
    regularisation: Option<&Path>,
) -> Result<FolderSubsets> {
    let mut found = match train {
        Some(dir) => folder_subsets(dir, template)?,
        None => FolderSubsets::default(),
    };
    if let Some(dir) = regularisation {
        let template = Subset {
            is_reg: true,
            conditioning_data_dir: None,
            ..template.clone()
        };
        let regularisation = folder_subsets(dir, &template)?;
        found.subsets.extend(regularisation.subsets);
        found.notices.extend(regularisation.notices);
    }
    Ok(found)
}

/// Scans the folders, assigns a bucket to every image and decodes each image once.
pub(crate) fn open(
    config: &TrainConfig,
    settings: &DataSettings,
    images: &[TrainImage],
) -> Result<(Dataset, Vec<Notice>)> {
    let plan = DatasetPlan::new(settings, images)?;
    let facts = DataFacts::new(&plan.config);
    Error::config(rules::dataset_problems(config, &facts))?;
    let mut dataset = Dataset::open(plan.config)?;
    dataset.verify(|| ())?;
    Ok((dataset, plan.notices))
}

/// The dataset's report, with the notices from when its folders were listed.
pub(crate) fn report(dataset: &Dataset, notices: &[Notice]) -> DatasetReport {
    let mut report = dataset.report();
    report.notices.splice(0..0, notices.iter().cloned());
    report
}
