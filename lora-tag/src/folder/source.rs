//! Where the probabilities of images come from.

use std::sync::Arc;

use super::ahead::Ahead;
use super::list::Task;
use super::options::FolderOptions;
use crate::error::Result;
use crate::scores::Scores;
use crate::tagger::{Tagger, TaggerInput, read_input};

/// Where the probabilities of images come from.
#[derive(Debug, Clone)]
pub enum ScoreSource {
    /// A tagger.
    Tagger(Arc<Tagger>),
    /// The files that an earlier run wrote next to the images ([`FolderOptions::scores`]).
    Files,
}

/// A source at work.
#[derive(Debug)]
pub(super) enum Source {
    Tagger {
        tagger: Arc<Tagger>,
        ahead: Ahead<Result<TaggerInput>>,
        batch: usize,
    },
    Files(Ahead<Result<Scores>>),
}

impl Source {
    /// Starts to read the images or files of these tasks.
    pub(super) fn start(source: ScoreSource, tasks: Vec<Task>, options: &FolderOptions) -> Self {
        match source {
            ScoreSource::Tagger(tagger) => {
                let (side, kind) = (tagger.side(), tagger.kind());
                let tags = options.tags.clone();
                let batch = tagger.fixed_batch().unwrap_or(options.batch);
                let ahead = Ahead::start(tasks, options.workers, move |task| {
                    read_input(&task.image, side, kind, &tags)
                });
                Self::Tagger {
                    tagger,
                    ahead,
                    batch,
                }
            }
            ScoreSource::Files => Self::Files(Ahead::start(tasks, options.workers, |task| {
                Scores::read(&Scores::path_for(&task.image))
            })),
        }
    }

    /// The probabilities of the next images in their order. Empty at the end.
    ///
    /// # Errors
    /// An error of the model; that of an image is in the list.
    pub(super) fn next_batch(&mut self) -> Result<Vec<(Task, Result<Scores>)>> {
        let (tagger, ahead, batch) = match self {
            Self::Files(ahead) => return Ok(ahead.next().into_iter().collect()),
            Self::Tagger {
                tagger,
                ahead,
                batch,
            } => (tagger, ahead, *batch),
        };
        let (mut tasks, mut inputs) = (Vec::new(), Vec::new());
        while inputs.len() < batch
            && let Some((task, input)) = ahead.next()
        {
            match input {
                Ok(input) => {
                    inputs.push(input);
                    tasks.push((task, None));
                }
                Err(error) => tasks.push((task, Some(error))),
            }
        }
        let mut scores = tagger.scores(&inputs)?.into_iter();
        let with_scores = tasks.into_iter().filter_map(|(task, error)| match error {
            Some(error) => Some((task, Err(error))),
            None => Some((task, Ok(scores.next()?))),
        });
        Ok(with_scores.collect())
    }
}
