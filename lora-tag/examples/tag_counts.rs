//! Prints the most frequent tags of a folder of images, and adds one to every caption if asked.
//!
//! ```text
//! cargo run --release --example tag_counts -- FOLDER [NEW_TAG]
//! ```

use std::process::ExitCode;

use lora_tag::captions::{Captions, CaptionsOptions, Edit, Filter, History, Position};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: tag_counts FOLDER [NEW_TAG]");
        return ExitCode::from(2);
    };
    match run(folder, arguments.get(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &str, new_tag: Option<&String>) -> lora_tag::Result<()> {
    let captions = Captions::open(folder, &CaptionsOptions::default())?;
    let entries = captions.select(&Filter::default())?;
    for counted in captions.tag_counts(&entries).iter().take(10) {
        println!("{:5} {}", counted.captions, counted.tag);
    }
    if let Some(tag) = new_tag {
        let add = Edit::Add {
            tags: vec![tag.clone()],
            position: Position::First,
        };
        // Only `Edit::Truncate` counts tokens.
        let plan = captions.plan(&entries, &add, &|_| 0)?;
        plan.apply(&History::open(folder)?, "tag_counts")?;
        println!(
            "changed {}",
            lora_data::count(plan.captions.len(), "caption")
        );
    }
    Ok(())
}
