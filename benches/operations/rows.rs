//! The rows that are measured.

use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{Tensor, activation, module};
use lora_core::ops::{self, AttentionMask, ConvShape, Lora};

use super::row::{Operation, Row, step};
use super::support::array::Array;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // The UNet of SD 1.5 at 512 pixels, its VAE at 256, the UNet of SDXL at 1024.
    for (channels, side) in [
        (320, 64),
        (640, 32),
        (1280, 16),
        (128, 256),
        (640, 64),
        (1280, 32),
    ] {
        rows.extend(convolution("conv3x3", channels, side, 3));
    }
    rows.extend(convolution("conv1x1", 320, 64, 1));
    // SD 1.5 at 512 pixels: self and cross; SDXL at 1024 pixels; a text encoder.
    for (heads, queries, keys, width) in [
        (8, 4096, 4096, 40),
        (8, 4096, 77, 40),
        (10, 4096, 4096, 64),
        (20, 1024, 77, 64),
        (12, 77, 77, 64),
    ] {
        rows.extend(attention(heads, queries, keys, width));
    }
    for (tokens, d_in, d_out) in [
        (4096, 320, 1280),
        (1024, 640, 5120),
        (4096, 640, 640),
        (1024, 1280, 10240),
    ] {
        rows.extend(linear(tokens, d_in, d_out));
        rows.extend(lora_linear(tokens, d_in, d_out));
    }
    rows.extend(elementwise(
        "silu",
        vec![1, 320, 4096],
        1,
        |x| step::<3, 3>(x, 1, |x| ops::silu(x[0].clone())),
        |x| step::<3, 3>(x, 1, |x| activation::silu(x[0].clone())),
    ));
    rows.extend(elementwise(
        "geglu",
        vec![1, 4096, 2560],
        2,
        |x| step::<3, 3>(x, 1, |x| ops::geglu(x[0].clone())),
        |x| {
            step::<3, 3>(x, 1, |x| {
                let halves = x[0].clone().chunk(2, 2);
                halves[0].clone() * activation::gelu(halves[1].clone())
            })
        },
    ));
    rows.extend(elementwise(
        "softmax",
        vec![8, 1024, 1024],
        1,
        |x| step::<3, 3>(x, 1, |x| ops::softmax(x[0].clone())),
        |x| step::<3, 3>(x, 1, |x| activation::softmax(x[0].clone(), 2)),
    ));
    rows.extend(norms());
    rows
}

fn convolution(name: &str, channels: usize, side: usize, kernel: usize) -> [Row; 2] {
    let image = vec![1, channels, side, side];
    let operation = Operation {
        name: format!("{name}_{channels}_{side}"),
        inputs: vec![
            ("x", image.clone()),
            ("weight", vec![channels, channels, kernel, kernel]),
        ],
        output: image,
        flops: 2.0 * (channels * channels * kernel * kernel * side * side) as f64,
        backward: 1.0,
    };
    fn shape(kernel: usize) -> ConvShape {
        if kernel == 1 {
            ConvShape::POINTWISE
        } else {
            ConvShape::SAME3
        }
    }
    operation.rows(
        |all| {
            let weight = all[1].get::<4>();
            step::<4, 4>(all, 1, |x| {
                ops::conv2d(x[0].clone(), &weight, None, shape(weight.dims()[2]))
            })
        },
        |all| {
            let weight = all[1].get::<4>();
            let padding = [weight.dims()[2] / 2; 2];
            step::<4, 4>(all, 1, |x| {
                let options = ConvOptions::new([1; 2], padding, [1; 2], 1);
                module::conv2d(x[0].clone(), weight.clone(), None, options)
            })
        },
    )
}

fn attention(heads: usize, queries: usize, keys: usize, width: usize) -> [Row; 2] {
    let row = heads * width;
    let operation = Operation {
        name: format!("attention_{heads}x{queries}x{keys}x{width}"),
        inputs: vec![
            ("q", vec![1, queries, row]),
            ("k", vec![1, keys, row]),
            ("v", vec![1, keys, row]),
        ],
        output: vec![1, queries, row],
        flops: 4.0 * (heads * queries * keys * width) as f64,
        // Again q kᵀ, and the gradients of v, of the probabilities, of q and of k.
        backward: 2.5,
    };
    /// Widths of a head, from that of all.
    fn heads_of(row: usize) -> usize {
        match row {
            320 => 8,
            640 => 10,
            1280 => 20,
            _ => 12,
        }
    }
    operation.rows(
        |all| {
            let heads = heads_of(all[0].shape[2]);
            step::<3, 3>(all, 3, |x| {
                ops::attention(
                    x[0].clone(),
                    x[1].clone(),
                    x[2].clone(),
                    heads,
                    AttentionMask::None,
                )
            })
        },
        |all| {
            // The framework keeps all scores, so only a few queries are compared, without the
            // gradients of keys and values.
            let heads = heads_of(all[0].shape[2]);
            let [q, k, v]: [Tensor<3>; 3] = std::array::from_fn(|index| all[index].get());
            let few = q.dims()[1].min(64);
            let split = |x: Tensor<3>| {
                let [b, l, row] = x.dims();
                x.reshape([b, l, heads, row / heads]).swap_dims(1, 2)
            };
            let q = q.narrow(1, 0, few).autodiff().require_grad();
            let options = AttentionModuleOptions::default();
            let y = module::attention(split(q.clone()), split(k), split(v), None, None, options);
            let row = heads * y.dims()[3];
            let y = y.swap_dims(1, 2).reshape([1, few, row]);
            let mut results = vec![Array::named("y", y.clone().inner())];
            if let Some(gradient) = all.get(3) {
                let gradients = ops::backward(y, gradient.get::<3>().narrow(1, 0, few));
                results.push(Array::named("q", q.grad(&gradients).expect("a gradient")));
            }
            results
        },
    )
}

fn linear(tokens: usize, d_in: usize, d_out: usize) -> [Row; 2] {
    let operation = Operation {
        name: format!("linear_{tokens}x{d_in}x{d_out}"),
        inputs: vec![
            ("x", vec![1, tokens, d_in]),
            ("weight", vec![d_out, d_in]),
            ("bias", vec![d_out]),
        ],
        output: vec![1, tokens, d_out],
        flops: 2.0 * (tokens * d_in * d_out) as f64,
        backward: 1.0,
    };
    operation.rows(
        |all| {
            let (weight, bias) = (all[1].get::<2>(), all[2].get::<1>());
            step::<3, 3>(all, 1, |x| ops::linear(x[0].clone(), &weight, Some(&bias)))
        },
        |all| {
            let (weight, bias) = (all[1].get::<2>().transpose(), all[2].get::<1>());
            step::<3, 3>(all, 1, |x| {
                module::linear(x[0].clone(), weight.clone(), Some(bias.clone()))
            })
        },
    )
}

/// Rank 32; the gradients of both factors are part of `both`.
fn lora_linear(tokens: usize, d_in: usize, d_out: usize) -> [Row; 2] {
    const RANK: usize = 32;
    let operation = Operation {
        name: format!("lora_linear_{tokens}x{d_in}x{d_out}"),
        // One sample, so that all are matrices.
        inputs: vec![
            ("x", vec![tokens, d_in]),
            ("down", vec![RANK, d_in]),
            ("up", vec![d_out, RANK]),
            ("weight", vec![d_out, d_in]),
        ],
        output: vec![tokens, d_out],
        flops: 2.0 * (tokens * (d_in * d_out + RANK * (d_in + d_out))) as f64,
        backward: 1.0,
    };
    operation.rows(
        |all| {
            let weight = all[3].get::<2>();
            step::<2, 2>(all, 3, |x| {
                let lora = Lora {
                    down: x[1].clone(),
                    up: x[2].clone(),
                    scale: 0.5,
                    mask: None,
                };
                ops::lora_linear(x[0].clone(), &weight, None, lora)
            })
        },
        |all| {
            let weight = all[3].get::<2>().transpose();
            step::<2, 2>(all, 3, |x| {
                let low = x[0].clone().matmul(x[1].clone().transpose()) * 0.5;
                x[0].clone().matmul(weight.clone()) + low.matmul(x[2].clone().transpose())
            })
        },
    )
}

fn elementwise(
    name: &str,
    shape: Vec<usize>,
    halves: usize,
    run: fn(&[Array]) -> Vec<Array>,
    reference: fn(&[Array]) -> Vec<Array>,
) -> [Row; 2] {
    let mut output = shape.clone();
    output[2] /= halves;
    let operation = Operation {
        name: name.into(),
        inputs: vec![("x", shape)],
        output,
        flops: 0.0,
        backward: 1.5,
    };
    operation.rows(run, reference)
}

fn norms() -> Vec<Row> {
    const EPS: f64 = 1e-5;
    let operation = |name: &str, shape: Vec<usize>, width| Operation {
        name: name.into(),
        inputs: vec![
            ("x", shape.clone()),
            ("scale", vec![width]),
            ("shift", vec![width]),
        ],
        output: shape,
        flops: 0.0,
        backward: 1.5,
    };
    /// The same operation as the framework composes it.
    fn group_norm(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let rows = x.reshape([b * 32, c / 32 * h * w]);
        let centred = rows.clone() - rows.mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        let y = (centred / (variance + EPS).sqrt()).reshape([b, c, h, w]);
        y * scale.reshape([1, c, 1, 1]) + shift.reshape([1, c, 1, 1])
    }
    let group = operation("group_norm", vec![1, 320, 64, 64], 320).rows(
        |all| {
            step::<4, 4>(all, 1, |x| {
                ops::group_norm(x[0].clone(), &all[1].get(), &all[2].get(), 32, EPS)
            })
        },
        |all| {
            step::<4, 4>(all, 1, |x| {
                group_norm(x[0].clone(), all[1].get(), all[2].get())
            })
        },
    );
    let group_silu = operation("group_norm_silu", vec![1, 320, 64, 64], 320).rows(
        |all| {
            step::<4, 4>(all, 1, |x| {
                ops::group_norm_silu(x[0].clone(), &all[1].get(), &all[2].get(), 32, EPS)
            })
        },
        |all| {
            step::<4, 4>(all, 1, |x| {
                activation::silu(group_norm(x[0].clone(), all[1].get(), all[2].get()))
            })
        },
    );
    let layer = operation("layer_norm", vec![1, 4096, 320], 320).rows(
        |all| {
            step::<3, 3>(all, 1, |x| {
                ops::layer_norm(x[0].clone(), &all[1].get(), &all[2].get(), EPS)
            })
        },
        |all| {
            step::<3, 3>(all, 1, |x| {
                module::layer_norm(x[0].clone(), all[1].get(), Some(all[2].get()), EPS)
            })
        },
    );
    group.into_iter().chain(group_silu).chain(layer).collect()
}
