use serde_json::{Value, json};

use super::*;

#[test]
fn resolutions() {
    for value in [
        json!("512,768"),
        json!("512x768"),
        json!(" 512 , 768 "),
        json!([512, 768]),
    ] {
        assert_eq!(
            Resolution::read(&value).unwrap(),
            Resolution {
                width: 512,
                height: 768
            },
            "{value}"
        );
    }
    assert_eq!(
        Resolution::read(&json!(640)).unwrap(),
        Resolution::square(640)
    );
    for value in [
        json!("512,"),
        json!(0),
        json!(-512),
        json!(512.5),
        json!([512]),
        json!("big"),
        json!(true),
    ] {
        assert!(Resolution::read(&value).is_err(), "{value}");
    }
}

#[test]
fn warm_up_is_steps_or_a_part() {
    let read = |value| WarmupSteps::read(&value).unwrap();
    assert_eq!(read(json!(100)), WarmupSteps::Steps(100));
    assert_eq!(read(json!("100")), WarmupSteps::Steps(100));
    assert_eq!(read(json!(100.0)), WarmupSteps::Steps(100));
    assert_eq!(read(json!(0)), WarmupSteps::Steps(0));
    assert_eq!(read(json!(0.05)), WarmupSteps::Ratio(0.05));
    assert_eq!(read(json!("5%")).resolve(250), 12);
    for value in [
        json!(-1),
        json!(1.5),
        json!("5 %%"),
        json!("101%"),
        json!([1]),
    ] {
        assert!(WarmupSteps::read(&value).is_err(), "{value}");
    }
    for warmup in [
        WarmupSteps::Ratio(1.0),
        WarmupSteps::Ratio(0.25),
        WarmupSteps::Steps(1),
    ] {
        assert_eq!(WarmupSteps::read(&warmup.write()).unwrap(), warmup);
    }
}

#[test]
fn arguments_are_kept_as_they_are_given() {
    let expected = Arguments::from([("betas", "(0.8, 0.99)"), ("eps", "1e-6"), ("text", "a=b")]);
    for value in [
        json!(["betas=(0.8, 0.99)", "eps = 1e-6", "text=a=b"]),
        json!("betas=(0.8, 0.99) eps=1e-6 text=a=b"),
        expected.write(),
    ] {
        assert_eq!(Arguments::read(&value).unwrap(), expected, "{value}");
    }
    assert_eq!(Arguments::default().write(), Value::Null);
    assert_eq!(
        (expected.get("eps"), expected.get("beta")),
        (Some("1e-6"), None)
    );
    for value in [json!("eps"), json!(3), json!([1])] {
        assert!(Arguments::read(&value).is_err(), "{value}");
    }
}
