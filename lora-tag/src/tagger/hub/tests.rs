use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::*;

const COMMIT: &str = "0123abc";
const LABELS: &str = "tag_id,name,category,count\n1,cat,0,1\n";

/// A server that answers like the Hub.
struct Server {
    endpoint: String,
    /// The first line of each request, and its range and authorization.
    requests: Arc<Mutex<Vec<String>>>,
}

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Ends in the middle of the model.
    Truncated,
    /// Sends another content.
    Corrupt,
    NotFound,
    /// Redirects to the new name of the repository.
    Renamed,
}

fn model() -> Vec<u8> {
    (0..200_000_u32).map(|byte| (byte % 251) as u8).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Server {
    fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(&mut stream.unwrap(), fault, &log);
            }
        });
        Self { endpoint, requests }
    }

    fn hub(&self, cache: &Path) -> Hub {
        Hub::new(&format!("{}/", self.endpoint), Some("secret".into()), cache)
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// What a client asks for.
struct Request {
    method: String,
    path: String,
    /// The first byte of the range.
    from: usize,
    is_authorized: bool,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut parts = first.split_whitespace().map(str::to_owned);
        let mut request = Self {
            method: parts.next().unwrap(),
            path: parts.next().unwrap(),
            from: 0,
            is_authorized: false,
        };
        for line in reader.lines() {
            let line = line?.to_lowercase();
            if let Some(from) = line.strip_prefix("range: bytes=") {
                request.from = from.trim_end_matches('-').parse().unwrap();
            }
            request.is_authorized |= line == "authorization: bearer secret";
            if line.is_empty() {
                break;
            }
        }
        Ok(request)
    }

    /// Status, headers and body of the answer.
    fn response(&self, fault: Fault, host: &str) -> (String, Vec<u8>) {
        let commit = format!("X-Repo-Commit: {COMMIT}\r\n");
        let mut content = model();
        if fault == Fault::Corrupt {
            content[7] ^= 1;
        }
        if fault == Fault::NotFound {
            return ("404 Not Found".into(), Vec::new());
        }
        if fault == Fault::Renamed && self.path.starts_with("/SmilingWolf/wd-vit") {
            let to = self.path.replacen("wd-vit", "new-wd-vit", 1);
            let head = format!("307 Temporary Redirect\r\nLocation: {to}");
            return (head, Vec::new());
        }
        if self.path.ends_with("selected_tags.csv") {
            return (format!("200 OK\r\n{commit}ETag: \"abc-1\""), LABELS.into());
        }
        if self.path == "/elsewhere" {
            let status = if self.from > 0 {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            return (status.into(), content.split_off(self.from));
        }
        let (etag, size) = (hash(&model()), content.len());
        let linked = format!("X-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {size}");
        let head = format!("302 Found\r\n{commit}{linked}\r\nLocation: http://{host}/elsewhere");
        (head, Vec::new())
    }
}

fn answer(stream: &mut TcpStream, fault: Fault, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let request = Request::read(stream)?;
    let Request {
        method,
        path,
        from,
        is_authorized,
    } = &request;
    let line = format!("{method} {path} {from} {is_authorized}");
    log.lock().unwrap().push(line);
    let host = stream.local_addr()?.to_string();
    let (head, body) = request.response(fault, &host);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if method == "GET" {
        let is_cut = fault == Fault::Truncated && path == "/elsewhere";
        let sent = if is_cut { length / 2 } else { length };
        stream.write_all(&body[..sent])?;
    }
    Ok(())
}

fn places(cache: &Path) -> ModelPlaces {
    ModelPlaces {
        hub_caches: vec![cache.into()],
        ..ModelPlaces::default()
    }
}

#[test]
fn a_download_has_the_layout_of_huggingface_hub() {
    let cache = tempfile::tempdir().unwrap();
    for fault in [Fault::None, Fault::Renamed] {
        let server = Server::start(fault);
        let cache = cache.path().join(format!("{fault:?}"));
        let mut seen = Vec::new();
        let folder = server
            .hub(&cache)
            .download("wd-vit-v3", false, |progress| {
                seen.push((progress.file.to_owned(), progress.bytes, progress.total));
                true
            })
            .unwrap();
        let root = cache.join("models--SmilingWolf--wd-vit-tagger-v3");
        assert_eq!(folder, root.join("snapshots").join(COMMIT));
        assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), model());
        assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
        assert!(root.join("blobs").join(hash(&model())).is_file());
        #[cfg(unix)]
        assert_eq!(
            fs::read_link(folder.join("selected_tags.csv")).unwrap(),
            Path::new("../../blobs/abc-1")
        );
        assert_eq!(places(&cache).find("wd-vit-v3").unwrap(), folder);
        assert!(seen.contains(&("model.onnx".into(), 200_000, 200_000)));
        let requests = server.requests();
        // The token is for the Hub, not for where it redirects to.
        assert!(
            requests
                .iter()
                .any(|line| line.starts_with("GET /elsewhere 0 "))
        );
        assert!(requests[0].ends_with("true"), "{requests:?}");

        // Nothing is downloaded twice.
        server
            .hub(&cache)
            .download("wd-vit-v3", false, |_| true)
            .unwrap();
        assert!(
            server
                .requests()
                .iter()
                .all(|line| line.starts_with("HEAD"))
        );
        // A forced download that is stopped leaves what is there.
        fs::write(folder.join("model.onnx"), "damaged").unwrap();
        let hub = server.hub(&cache);
        let stopped = hub.download("wd-vit-v3", true, |progress| progress.file != "model.onnx");
        assert!(stopped.is_err());
        assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), b"damaged");
        hub.download("wd-vit-v3", true, |_| true).unwrap();
        assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), model());
    }
}

#[test]
fn an_interrupted_download_goes_on() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Fault::Truncated);
    let error = server
        .hub(cache.path())
        .download("wd-vit-v3", false, |_| true)
        .unwrap_err();
    assert!(error.to_string().contains("ended after"), "{error}");

    let server = Server::start(Fault::None);
    let mut stopped = 0;
    let stop = server
        .hub(cache.path())
        .download("wd-vit-v3", false, |progress| {
            stopped += usize::from(progress.file == "model.onnx");
            stopped < 2
        });
    assert!(stop.unwrap_err().to_string().contains("stopped"));
    let before = server.requests();
    let folder = server
        .hub(cache.path())
        .download("wd-vit-v3", false, |_| true)
        .unwrap();
    assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), model());
    let after = server.requests();
    let ranges = |requests: &[String]| -> Vec<usize> {
        let parts = requests
            .iter()
            .filter(|line| line.starts_with("GET /elsewhere"));
        parts
            .map(|line| line.split(' ').nth(2).unwrap().parse().unwrap())
            .collect()
    };
    assert!(ranges(&before)[0] > 0 && ranges(&after)[0] > ranges(&before)[0]);
}

#[test]
fn faults_of_a_server_are_named() {
    for (fault, part) in [
        (Fault::Corrupt, "announced SHA-256"),
        (Fault::NotFound, "404 Not Found; there is no such file"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let server = Server::start(fault);
        let error = server
            .hub(cache.path())
            .download("wd-vit-v3", false, |_| true)
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(places(cache.path()).find("wd-vit-v3").is_err());
    }
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new("http://127.0.0.1:1", None, cache.path());
    let error = hub
        .download("a/b", false, |_| true)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("http://127.0.0.1:1/a/b/resolve/main/selected_tags.csv"),
        "{error}"
    );
    assert!(matches!(
        hub.download("x", false, |_| true),
        Err(Error::NoTagger { .. })
    ));
}
