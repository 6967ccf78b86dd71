//! Downloads from the Hugging Face Hub into its cache, in the layout of `huggingface_hub`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lora_data::{hex, sha256};
use ureq::Agent;
use ureq::http::{Response, StatusCode};

use super::catalog::Repository;
use super::lookup::{ModelPlaces, cache_folder};
use crate::error::{Error, Result};

/// The Hub. `$HF_ENDPOINT` names a mirror.
const ENDPOINT: &str = "https://huggingface.co";

/// Redirects that are followed within the Hub, as for a renamed repository.
const MOST_REDIRECTS: usize = 5;

/// How far the download of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The bytes so far.
    pub bytes: u64,
    /// All bytes.
    pub total: u64,
}

/// Downloads taggers.
#[derive(Debug, Clone)]
pub struct Hub {
    endpoint: String,
    token: Option<String>,
    cache: PathBuf,
    agent: Agent,
}

/// A file on the Hub.
#[derive(Debug)]
struct Remote {
    url: String,
    commit: String,
    /// The name of the file's content in the cache: its SHA-256 if it is large.
    etag: String,
    size: u64,
}

impl Hub {
    /// The Hub or the mirror `$HF_ENDPOINT`, with the token `$HF_TOKEN`, into the first of the
    /// places' caches.
    ///
    /// # Errors
    /// [`Error::Download`] if `$HF_HUB_OFFLINE` is set, or if there is no place for a cache.
    pub fn from_env(places: &ModelPlaces) -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        let refused = |reason: &str| Error::Download {
            url: endpoint.clone(),
            reason: reason.into(),
        };
        let is_offline = variable("HF_HUB_OFFLINE").is_some_and(|value| value != "0");
        if is_offline {
            return Err(refused("$HF_HUB_OFFLINE is set"));
        }
        let cache = places.hub_caches.first();
        let cache = cache.ok_or_else(|| refused("no folder for the cache; set $HF_HUB_CACHE"))?;
        Ok(Self::new(&endpoint, variable("HF_TOKEN"), cache))
    }

    /// A Hub at this address, with a token for private repositories, and a cache.
    #[must_use]
    pub fn new(endpoint: &str, token: Option<String>, cache: &Path) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("lora-trainer/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            token,
            cache: cache.into(),
            agent: config.into(),
        }
    }

    /// Downloads a tagger: a name of SD-Trainer's list, or `OWNER/NAME` or `OWNER/NAME/FOLDER`.
    /// Returns its folder. Files that are in the cache are downloaded again only with `force`; an
    /// interrupted download goes on. `progress` returns false to stop.
    ///
    /// # Errors
    /// [`Error::NoTagger`] for an unknown name, [`Error::Download`] if the server does not have the
    /// files, and [`Error::Io`] if they cannot be written.
    pub fn download(
        &self,
        name: &str,
        force: bool,
        mut progress: impl FnMut(DownloadProgress<'_>) -> bool,
    ) -> Result<PathBuf> {
        let Some(repository) = Repository::parse(name) else {
            return Err(ModelPlaces::default().not_found(name, None));
        };
        let folder = cache_folder(&self.cache, &repository.id);
        let mut snapshot = PathBuf::new();
        // The small file first: a wrong name fails early.
        for file in repository.files.iter().rev() {
            let remote = self.look_up(&repository, file)?;
            let blob = folder.join("blobs").join(&remote.etag);
            self.fetch(&remote, &blob, force, &mut |bytes| {
                progress(DownloadProgress {
                    file,
                    bytes,
                    total: remote.size,
                })
            })?;
            snapshot = folder.join("snapshots").join(&remote.commit);
            let path = snapshot.join(repository.path_of(file));
            place(&blob, &path, force)?;
            write(
                &folder.join("refs").join(&repository.revision),
                &remote.commit,
            )?;
        }
        Ok(snapshot.join(&repository.folder))
    }

    /// Asks for a file without its content.
    fn look_up(&self, repository: &Repository, file: &str) -> Result<Remote> {
        let Repository { id, revision, .. } = repository;
        let path = repository.path_of(file);
        let mut url = format!("{}/{id}/resolve/{revision}/{path}", self.endpoint);
        for _ in 0..MOST_REDIRECTS {
            let failed = |reason: String| Error::Download {
                url: url.clone(),
                reason,
            };
            let request = self.authorized(self.agent.head(&url));
            let response = request
                .config()
                .max_redirects(0)
                .max_redirects_will_error(false)
                .build()
                .call()
                .map_err(|error| failed(error.to_string()))?;
            let status = response.status();
            let location = header(&response, "location").unwrap_or_default();
            // The content of large files is elsewhere; their headers are here.
            if status.is_redirection() && location.starts_with('/') {
                url = format!("{}{location}", self.endpoint);
                continue;
            }
            if !(status.is_success() || status.is_redirection()) {
                return Err(failed(refusal(status)));
            }
            let needed = |names: [&str; 2]| {
                let found = names.iter().find_map(|name| header(&response, name));
                found.ok_or_else(|| failed(format!("the answer has no `{}`", names[1])))
            };
            let etag = needed(["x-linked-etag", "etag"])?;
            let size = needed(["x-linked-size", "content-length"])?;
            let commit = needed(["x-repo-commit", "x-repo-commit"])?;
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
            let is_name = |text: &str| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            };
            if !is_name(&etag) || !is_name(&commit) {
                return Err(failed(
                    "the answer has an unexpected `etag` or `x-repo-commit`".into(),
                ));
            }
            let size = size.parse().map_err(|_| failed(format!("size `{size}`")))?;
            return Ok(Remote {
                url,
                commit,
                etag,
                size,
            });
        }
        Err(Error::Download {
            url,
            reason: "too many redirects".into(),
        })
    }

    /// Downloads the content of a file, unless it is there. With `force`, it is replaced once the
    /// new content is complete.
    fn fetch(
        &self,
        remote: &Remote,
        blob: &Path,
        force: bool,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<()> {
        if blob.is_file() && !force {
            return Ok(());
        }
        let folder = blob.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))?;
        let mut name = blob.as_os_str().to_owned();
        name.push(".incomplete");
        let incomplete = PathBuf::from(name);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&incomplete)
            .map_err(Error::io(&incomplete, "write"))?;
        let length = file
            .metadata()
            .map_err(Error::io(&incomplete, "read"))?
            .len();
        let mut present = length.min(remote.size);
        if present < remote.size {
            present = self.receive(remote, &mut file, present, &incomplete, progress)?;
        }
        let failed = |reason: String| Error::Download {
            url: remote.url.clone(),
            reason,
        };
        if present != remote.size {
            return Err(failed(format!(
                "the connection ended after {present} of {} bytes; run the command again to go on",
                remote.size
            )));
        }
        file.sync_all().map_err(Error::io(&incomplete, "write"))?;
        drop(file);
        let is_hash = remote.etag.len() == 64;
        let hash = sha256(&incomplete).map_err(Error::io(&incomplete, "read"))?;
        if is_hash && hex(hash) != remote.etag {
            let _ = fs::remove_file(&incomplete);
            return Err(failed(
                "the content does not have the announced SHA-256".into(),
            ));
        }
        fs::rename(&incomplete, blob).map_err(Error::io(blob, "write"))
    }

    /// Appends the content from byte `present` on. Returns the bytes that are there afterwards.
    fn receive(
        &self,
        remote: &Remote,
        file: &mut File,
        mut present: u64,
        path: &Path,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<u64> {
        let failed = |reason: String| Error::Download {
            url: remote.url.clone(),
            reason,
        };
        let mut request = self.authorized(self.agent.get(&remote.url));
        if present > 0 {
            request = request.header("range", format!("bytes={present}-"));
        }
        let response = request.call().map_err(|error| failed(error.to_string()))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            // The server sends the whole file.
            status if status.is_success() => {
                file.set_len(0).map_err(Error::io(path, "write"))?;
                present = 0;
            }
            status => return Err(failed(refusal(status))),
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            if !progress(present) {
                return Err(failed("stopped; run the command again to go on".into()));
            }
            match body.read(&mut buffer) {
                Ok(0) => return Ok(present),
                Ok(count) => {
                    file.write_all(&buffer[..count])
                        .map_err(Error::io(path, "write"))?;
                    present += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What is there is kept.
                Err(_) => return Ok(present),
            }
        }
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

fn header<B>(response: &Response<B>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn refusal(status: StatusCode) -> String {
    let hint = match status.as_u16() {
        401 | 403 => "; the repository may need a token ($HF_TOKEN)",
        404 => "; there is no such file, branch or repository",
        _ => "",
    };
    format!("the server answered {status}{hint}")
}

/// Gives a content its path in a snapshot: a relative link, or the file itself if the system has no
/// links. An existing file is replaced only with `force`.
fn place(blob: &Path, path: &Path, force: bool) -> Result<()> {
    if path.is_file() && !force {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))?;
    // What is replaced, or a link whose target is gone.
    let _ = fs::remove_file(path);
    if link(blob, path).is_err() {
        fs::hard_link(blob, path)
            .or_else(|_| fs::copy(blob, path).map(drop))
            .map_err(Error::io(path, "write"))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(blob: &Path, path: &Path) -> io::Result<()> {
    // From `snapshots/COMMIT/…` up to the folder with `blobs`.
    let above = path.ancestors().skip(1).take_while(|folder| {
        folder.file_name() != blob.ancestors().nth(2).and_then(Path::file_name)
    });
    let mut target = PathBuf::new();
    above.for_each(|_| target.push(".."));
    target.push("blobs");
    target.extend(blob.file_name());
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_blob: &Path, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(lora_data::atomic::write(path, |file| {
        file.write_all(text.as_bytes())
    })?)
}

#[cfg(test)]
mod tests;
