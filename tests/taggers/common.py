"""Tags, input images and reference files: what the two export scripts have in common."""

import csv
import json
import pathlib

import numpy as np
import onnxruntime
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent

RATINGS = ["general", "sensitive", "questionable", "explicit"]
GENERAL = [
    *["1girl", "solo", "long_hair", "looking_at_viewer", "blue_eyes", "hair_between_eyes"],
    *["school_uniform", "hat_(object)", "star_(symbol)", "^_^", "o_o", "|_|", ">_<", "0_0"],
    *[":d", ";)", "k-on!", 'don\'t_say_"lazy"', "pale_skin", "1boy", "outdoors", "night_sky"],
    *["cat", "sword", "white_background", "multiple_girls", "\\m/", "rain", "tree", "flower"],
]
CHARACTERS = [
    *["hatsune_miku", "saber_(fate)", "artoria_pendragon_(swimsuit_ruler)_(fate)", "kirby"],
    *["rem_(re:zero)", "link", "princess_zelda", "2b_(nier:automata)"],
]
CL_TAGS = {
    "Rating": RATINGS,
    "General": GENERAL[:16],
    "Artist": ["first_artist", "artist_(second)"],
    "Character": CHARACTERS[:6],
    "Copyright": ["vocaloid", "fate_(series)", "the_legend_of_zelda"],
    "Meta": ["highres", "absurdres", "official_art"],
    "Quality": ["best_quality", "normal_quality", "worst_quality"],
    "Model": ["model_a_v1", "model_b_xl"],
}
WD_TAGS = len(RATINGS) + len(GENERAL) + len(CHARACTERS)
CL_COUNT = sum(map(len, CL_TAGS.values()))


def images(count, size, seed):
    """Smooth waves and noise: u8 pixels of shape [count, size, size, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    result = []
    for _ in range(count):
        image = np.empty((size, size, 3))
        for channel in range(3):
            fx, fy, phase = rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(0, 2 * np.pi)
            waves = 127.5 + rng.uniform(30, 120) * np.sin(2 * np.pi * (fx * x + fy * y) + phase)
            image[:, :, channel] = waves + rng.normal(0, 25, (size, size))
        result.append(image)
    return np.clip(np.stack(result), 0, 255).astype(np.uint8)


def normalized(pixels):
    """The input of a CL tagger: NCHW in -1..1."""
    return np.ascontiguousarray((pixels.astype(np.float32) / 255 - 0.5).transpose(0, 3, 1, 2) / 0.5)


def write_selected_tags(folder, general=GENERAL, characters=CHARACTERS):
    rows = [(name, 9) for name in RATINGS]
    rows += [(name, 0) for name in general] + [(name, 4) for name in characters]
    with open(folder / "selected_tags.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tag_id", "name", "category", "count"])
        for index, (name, category) in enumerate(rows):
            tag_id = 9999999 - index if category == 9 else 470575 + 37 * index
            writer.writerow([tag_id, name, category, 5000000 // (index + 1)])


def write_tag_mapping(folder, is_split):
    """One entry per tag, or the split form: `idx_to_tag` and `tag_to_category`."""
    pairs = [(tag, category) for category, tags in CL_TAGS.items() for tag in tags]
    if is_split:
        mapping = {
            "idx_to_tag": {str(index): tag for index, (tag, _) in enumerate(pairs)},
            "tag_to_category": dict(pairs),
        }
    else:
        mapping = {
            str(index): {"tag": tag, "category": category}
            for index, (tag, category) in enumerate(pairs)
        }
    text = json.dumps(mapping, indent=1, ensure_ascii=False)
    (folder / "tag_mapping.json").write_text(text + "\n", encoding="utf-8")


def run(folder, data):
    """Returns the output of onnxruntime, which also proves that the file is valid."""
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (node,) = session.get_inputs()
    (result,) = session.run(None, {node.name: data})
    return result


def write_reference(folder, data, is_logits=False, expected=None):
    """Writes the input and onnxruntime's probabilities.

    `expected` are the probabilities of the framework that exported the model.
    """
    output = run(folder, data.astype(np.float32))
    if is_logits:
        output = 1 / (1 + np.exp(-output.astype(np.float64)))
    output = output.astype(np.float32)
    error = np.abs(output - expected).max()
    assert error < 1e-4, f"{folder.name}: {error} from the framework that exported it"
    low, high = np.quantile(output, [0.1, 0.9])
    assert low < 0.25 and high > 0.6, f"{folder.name}: probabilities are not spread: {low}, {high}"
    save_file(
        {"input": np.ascontiguousarray(data), "output": np.ascontiguousarray(output)},
        folder / "reference.safetensors",
    )
    size = (folder / "model.onnx").stat().st_size
    difference = np.abs(output[0] - output[-1]).max()
    print(
        f"{folder.name}: {size} bytes, probabilities {low:.2f} .. {high:.2f},"
        f" images differ by {difference:.2f}, framework by {error:.1e}"
    )
