use super::*;
use crate::adapter::{Factor, ParameterAxes, Stack, StackGradient};
use crate::network::NetworkKind;
use crate::ops::testing::random;
use crate::optim::state::update::{Scale, StackUpdate};

/// Entries of bitsandbytes' tables.
#[test]
fn the_maps_are_those_of_bitsandbytes() {
    let close = |numbers: &[f32], expected: &[f32]| {
        assert_eq!(numbers.len(), expected.len());
        for (number, expected) in numbers.iter().zip(expected) {
            assert!(
                (number - expected).abs() <= 2e-6 * expected.abs() + 1e-9,
                "{number}, expected {expected}"
            );
        }
    };
    let (signed, unsigned) = (&SIGNED.numbers, &UNSIGNED.numbers);
    close(
        &signed[..4],
        &[-0.992_968_8, -0.978_906_3, -0.964_843_8, -0.950_781_2],
    );
    let middle = [
        -7.75e-6, -3.25e-6, -5.5e-7, 0.0, 5.5e-7, 3.25e-6, 7.75e-6, 2.125e-5, 4.375e-5, 6.625e-5,
    ];
    close(&signed[124..134], &middle);
    close(
        &signed[252..],
        &[0.964_843_8, 0.978_906_3, 0.992_968_8, 1.0],
    );
    close(&unsigned[..4], &[0.0, 3.25e-7, 7.75e-7, 2.125e-6]);
    close(
        &unsigned[252..],
        &[0.982_421_9, 0.989_453_1, 0.996_484_4, 1.0],
    );
}

#[test]
fn codes_are_the_nearest_of_the_same_sign() {
    for map in [Map::Signed, Map::Unsigned] {
        for code in 0..=255 {
            assert_eq!(
                map.code(map.table().numbers[usize::from(code)]),
                code,
                "{map:?}"
            );
        }
        assert_eq!(map.code(0.0), map.zero());
    }
    // The nearest number would be 0.
    assert_eq!(Map::Signed.code(-1e-7), 126);
    assert_eq!(Map::Signed.code(-1.0), 0);
    assert_eq!(Map::Signed.code(0.9965), 255);
    assert_eq!(Map::Signed.code(0.9964), 254);
}

/// The form of other devices keeps the same codes as the CPU's, and both leave a parameter without
/// gradient as it was.
#[test]
fn both_forms_agree() {
    let shape = [2, 7, 91];
    let mut stack = Stack {
        values: random(shape, 1),
        network: NetworkKind::Unet,
        factor: Factor::Down,
        axes: ParameterAxes::Matrix,
    };
    for map in [Map::Signed, Map::Unsigned] {
        let mut forms = [true, false].map(|host| Quantized::on(host, &stack.values, map));
        for (step, present) in [[true, true], [true, false]].into_iter().enumerate() {
            // Many decades, and both signs where there are.
            let values = random(shape, 2 + step as u64).powi_scalar(9);
            let values = if map == Map::Signed {
                values
            } else {
                values.abs()
            };
            let gradient = StackGradient {
                values: stack.values.clone(),
                present: present.into(),
            };
            let (update, _) = StackUpdate::new(&mut stack, gradient, Scale::Host(1.0), &[0.0; 2]);
            let before = forms[0].codes();
            forms
                .iter_mut()
                .for_each(|form| form.store(values.clone(), &update));
            let [host, device] = [forms[0].codes(), forms[1].codes()];
            let differing = host
                .iter()
                .zip(&device)
                .filter(|(host, device)| host != device)
                .count();
            assert!(
                differing <= 1,
                "{map:?}: {differing} of {} codes",
                host.len()
            );
            assert_eq!(host[637..] == before[637..], !present[1], "{map:?}");
            let difference = (forms[0].load() - forms[1].load())
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(difference <= 1e-2, "{map:?}: {difference}");
        }
    }
}
