"""A training as one readable script of its own, which needs torch and torchvision alone and nothing of this lab.

The script has the same network, data, split sizes, augmentation, optimizer and schedule. Its random numbers come in
another order, so its accuracy agrees within the spread of seeds and not digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import dataset_title
from mnist_core.errors import ConfigError
from mnist_core.inference.interval import accuracy_text
from mnist_core.models import layers
from mnist_core.models.architectures import describe
from mnist_core.models.card import Card

DATASETS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "cifar10": "CIFAR10"}
"""The lab's datasets that torchvision has with the same images → their names there."""
REFUSED = {
    "init_from": "begins with another model's weights",
    "teachers": "learns from other models",
    "extra": "learns from further drawings",
    "non_digits": "learns from drawings of no digit",
}
WIDTH = 110  # characters of a line that lists layers


@dataclass(frozen=True)
class Part:
    """A part of the script: what it does, in a line, and its code."""

    title: str
    code: str


def why_not(config: TrainConfig) -> str:
    """A sentence why there can be no script of a training; empty where there can."""
    if config.dataset not in DATASETS:
        return (
            f"There is no script of this training: torchvision has no {dataset_title(config.dataset)}. "
            f"There are scripts of trainings on {', '.join(map(dataset_title, DATASETS))}."
        )
    for name, what in REFUSED.items():
        if getattr(config, name):
            return (
                f"There is no script of this training: it {what} ({name}), which takes the lab. "
                "`Copy command` repeats it here."
            )
    return ""


def script(card: Card) -> str:
    """The whole script. Raises ConfigError, which says why there is none."""
    code = "\n\n\n".join(part.code for part in parts(card))
    return f'"""{_introduction(card)}"""\n\n{code}\n'


def parts(card: Card) -> list[Part]:
    """The script in its parts: settings, images, network, augmentation, helpers, training. Raises ConfigError."""
    config = card.config
    if said := why_not(config):
        raise ConfigError(said)
    return [
        Part("What is needed, and the settings", _settings(config)),
        Part("The images", _data(config)),
        Part("The network", _network(card)),
        *([Part("Each image a little different each time", _augmentation(config))] if _augmented(config) else []),
        Part("Learning rate, and what is measured", _helpers(config)),
        Part("The training, and the test images once at its end", _training(config)),
    ]


def _introduction(card: Card) -> str:
    config = card.config
    test = card.metrics.get("test_accuracy")
    reached = ""
    if test is not None:
        said = accuracy_text(test, int(card.metrics.get("test_images", 0)))
        reached = f" Its accuracy on the test images was {said} there, with seed {config.seed}."
    changed = " Settings were changed while it ran; these are those of its end." if card.changes else ""
    return (
        f"{config.recipe} on {dataset_title(config.dataset)}: a training of MNIST Lab, by torch and torchvision.\n"
        f"\n    python {card.name.replace(' ', '-')}.py [SEED]\n\n"
        f"{card.parameters:,} parameters.{reached}{changed}\n"
        "Random numbers come in another order here: expect the same accuracy within the spread of seeds.\n"
    )


def _settings(config: TrainConfig) -> str:
    standard = ["math"] if config.schedule in ("one-cycle", "cosine") or config.rotation or config.shear else []
    standard += ["os", "sys"] + (["copy"] if config.keep == "best" else [])
    lines = [f"import {name}" for name in sorted(standard)]
    lines += ["", "import torch", "import torch.nn.functional as F", "import torchvision", "from torch import nn", ""]
    lines += [
        f"SEED = int(sys.argv[1]) if len(sys.argv) == 2 and sys.argv[1].isdigit() else {config.seed}",
        'DATA = os.environ.get("DATA", "data")  # downloaded there where it is missing',
        f"EPOCHS, BATCH_SIZE, LEARNING_RATE = {config.epochs}, {config.batch_size}, {config.learning_rate:g}",
        'DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
    ]
    if config.precision == "bfloat16":
        lines.append("BFLOAT16 = True  # in the forward pass of training")
    elif config.precision == "auto":
        lines += [
            "cpu = torch.cpu.get_capabilities()",
            "# in the forward pass of training, where the processor multiplies it itself",
            'BFLOAT16 = DEVICE.type == "cuda" or bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))',
        ]
    lines.append("torch.manual_seed(SEED)")
    return "\n".join(lines)


def _data(config: TrainConfig) -> str:
    name = DATASETS[config.dataset]
    colour = config.dataset == "cifar10"
    reshape = ".permute(0, 3, 1, 2)" if colour else ".unsqueeze(1)"
    lines = [
        "def load(train):",
        '    """(N, C, H, W) uint8 images and (N,) int64 labels."""',
        f"    data = torchvision.datasets.{name}(DATA, train, download=True)",
        f"    return torch.as_tensor(data.data){reshape}, torch.as_tensor(data.targets)",
        "",
        "",
        "def split(labels, share):",
        '    """Rows that stay, and a `share` of each class that is held out."""',
        "    held = torch.zeros(len(labels), dtype=torch.bool)",
        "    for label in labels.unique():",
        "        rows = (labels == label).nonzero()[:, 0]",
        "        held[rows[torch.randperm(len(rows))[: max(1, round(len(rows) * share))]]] = True",
        "    return (~held).nonzero()[:, 0], held.nonzero()[:, 0]",
        "",
        "",
        "images, labels = load(train=True)",
        "test_images, test_labels = load(train=False)",
    ]
    fraction = config.validation_fraction
    if config.split == "pooled":
        fraction = min(fraction / (1 - config.test_fraction), 0.9)
        lines += [
            "# all images pooled, and other test images drawn from them",
            "images, labels = torch.cat([images, test_images]), torch.cat([labels, test_labels])",
            f"rest, test = split(labels, {config.test_fraction:g})",
            "test_images, test_labels, images, labels = images[test], labels[test], images[rest], labels[rest]",
        ]
    lines.append(f"train_rows, val_rows = split(labels, {fraction:.6g})")
    if config.train_share < 1:
        lines += [
            "# as many images of each class as the lab learns from, but others: it draws them by NumPy",
            f"train_rows = train_rows[split(labels[train_rows], {config.train_share:g})[1]]",
        ]
    if config.label_noise:
        lines += [
            "# as many wrong labels as in the lab, but others: each is one of the other classes at random",
            f"wrong = train_rows[torch.randperm(len(train_rows))[: round({config.label_noise:g} * len(train_rows))]]",
            "kinds = len(labels.unique())",
            "labels[wrong] = (labels[wrong] + torch.randint(1, kinds, (len(wrong),))) % kinds",
        ]
    if config.normalization == "standard":
        lines += [
            "pixels = images[train_rows].float().div(255)",
            "MEAN, STD = (f(pixels, dim=(0, 2, 3)).view(1, -1, 1, 1).to(DEVICE) for f in (torch.mean, torch.std))",
            "del pixels",
        ]
    return "\n".join(lines)


def _network(card: Card) -> str:
    config = card.network
    network = describe(config, card.shape)
    lines, kinds = [], {type(layer) for layer in _all_layers(network)}
    if layers.MaxMeanPool in kinds:
        lines += [
            "class MaxMeanPool(nn.Module):",
            '    """(N, C, H, W) → (N, 2C): the maximum and the mean of each channel over the image."""',
            "",
            "    def forward(self, x):",
            "        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)",
            "",
            "",
        ]
    if layers.Residual in kinds:
        lines += [
            "class Residual(nn.Sequential):",
            '    """x → x + layers(x)."""',
            "",
            "    def forward(self, x):",
            "        return x + super().forward(x)",
            "",
            "",
        ]
    head = ["nn.LogSoftmax(dim=1)"] if config.head == "log-softmax" else []
    lines += ["net = nn.Sequential(", *_sequence(network, head), ")"]
    lines.append("net = net.to(DEVICE, memory_format=torch.channels_last)")
    lines.append(f"assert sum(p.numel() for p in net.parameters()) == {card.parameters}")
    return "\n".join(lines)


def _all_layers(network: layers.Sequential) -> Iterator[layers.Layer]:
    for layer in network.layers:
        yield layer
        if isinstance(layer, layers.Sequential):
            yield from _all_layers(layer)


def _sequence(network: layers.Sequential, further: Sequence[str] = (), indent: int = 4) -> Iterator[str]:
    """The layers of a Sequential as source lines; those that belong to a layer with weights stand on its line."""
    line = ""
    for words in [*(_constructor(layer, indent) for layer in network.layers), *further]:
        opens = words.startswith(("nn.Conv2d", "nn.Linear", "Residual", "MaxMeanPool"))
        if line and (opens or "\n" in line or len(line) + len(words) + indent > WIDTH):
            yield f"{' ' * indent}{line},"
            line = words
        else:
            line = f"{line}, {words}" if line else words
    if line:
        yield f"{' ' * indent}{line},"


def _constructor(layer: layers.Layer, indent: int) -> str:
    """A layer as the call that makes it in torch."""
    match layer:
        case layers.Sequential():
            kind = "Residual" if isinstance(layer, layers.Residual) else "nn.Sequential"
            return "\n".join([f"{kind}(", *_sequence(layer, indent=indent + 4), " " * indent + ")"])
        case layers.Conv2d(inputs, outputs, side, stride, padding, groups, bias):
            named = (("stride", stride, 1), ("padding", padding, 0), ("groups", groups, 1), ("bias", bias, True))
            further = [f", {name}={value}" for name, value, plain in named if value != plain]
            return f"nn.Conv2d({inputs}, {outputs}, {side}{''.join(further)})"
        case layers.MaxPool2d(side, stride, padding):
            strides = f", stride={stride}" if stride not in (None, side) else ""
            return f"nn.MaxPool2d({side}{strides}{f', padding={padding}' if padding else ''})"
        case layers.BatchNorm1d(features) | layers.BatchNorm2d(features):
            return f"nn.{type(layer).__name__}({features})"
        case layers.Linear(inputs, outputs):
            return f"nn.Linear({inputs}, {outputs})"
        case layers.Dropout(share):
            return f"nn.Dropout({share:g})"
        case layers.AdaptiveAvgPool2d(size):
            return f"nn.AdaptiveAvgPool2d({size})"
        case layers.Activation(kind):
            return f"nn.{kind}()"
        case layers.MaxMeanPool():
            return "MaxMeanPool()"
    return f"nn.{type(layer).__name__}()"


def _augmented(config: TrainConfig) -> bool:
    return bool(_warped(config) or config.flip or config.erasing)


def _warped(config: TrainConfig) -> bool:
    return bool(config.rotation or config.translation or config.scaling or config.shear or config.elastic)


def _augmentation(config: TrainConfig) -> str:
    lines = ["def augment(x):", '    """(N, C, H, W) float32 in [0, 1], each image changed at random."""']
    lines.append("    n, _, height, width = x.shape")
    if config.flip:
        lines.append("    x = torch.where(torch.rand(n, 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)")
    if _warped(config):
        lines += ["", "    def uniform(limit):", "        return (torch.rand(n, device=x.device) * 2 - 1) * limit", ""]
        turns = config.rotation or config.scaling or config.shear
        if turns or config.elastic:
            both = "    angle, shear = torch.zeros(2, n, device=x.device)"
            if config.rotation or config.shear:
                limits = (f"uniform(math.radians({limit:g}))" for limit in (config.rotation, config.shear))
                both = f"    angle, shear = {', '.join(limits)}.tan()"
            lines += [
                both,
                f"    zoom, across, down = 1 / (1 + uniform({config.scaling:g})), uniform({config.translation:g}), "
                f"uniform({config.translation:g})",
            ]
        else:  # interpolation between pixels would blur
            most = int(config.translation)
            lines += [
                "    angle, shear, zoom = torch.zeros(n, device=x.device), 0, 1",
                f"    across, down = (uniform({config.translation:g}).round().clamp({-most}, {most}) for _ in (0, 1))",
            ]
        lines += [
            "    cos, sin = angle.cos() * zoom, angle.sin() * zoom",
            "    # affine_grid maps output to input positions, from -1 to 1 along each side",
            "    first = torch.stack([cos, cos * shear - sin, 2 * across / width], dim=1)",
            "    second = torch.stack([sin, sin * shear + cos, 2 * down / height], dim=1)",
            "    grid = F.affine_grid(torch.stack([first, second], dim=1), x.shape, align_corners=False)",
        ]
        if config.elastic:
            lines += [
                "    knots = torch.randn(n, 2, 4, 4, device=x.device)",
                '    field = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)',
                f"    grid = grid + field.permute(0, 2, 3, 1) * ({2 * config.elastic:g} / width)",
            ]
        lines.append("    x = F.grid_sample(x, grid, align_corners=False)")
    if config.erasing:
        lines += [
            "    rows, columns = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)",
            f"    top, left = (torch.randint(s, (n, 1, 1, 1), device=x.device) - {config.erasing // 2} "
            "for s in (height, width))",
            f"    inside = (rows >= top) & (rows < top + {config.erasing}) & (columns >= left) & "
            f"(columns < left + {config.erasing})",
            "    x = x.masked_fill(inside, 0)",
        ]
    lines.append("    return x.contiguous(memory_format=torch.channels_last)")
    return "\n".join(lines)


def _helpers(config: TrainConfig) -> str:
    lines = ["def learning_rate(step, steps):"]
    if config.schedule == "one-cycle":
        lines += [
            '    """Up over the first quarter, then down to nearly nothing, both along a cosine."""',
            "    done, low, end = step / max(steps - 1, 1), LEARNING_RATE / 25, LEARNING_RATE / 250_000",
            "    if done < 0.25:",
            "        return LEARNING_RATE + (low - LEARNING_RATE) * (1 + math.cos(math.pi * done / 0.25)) / 2",
            "    return end + (LEARNING_RATE - end) * (1 + math.cos(math.pi * (done - 0.25) / 0.75)) / 2",
        ]
    elif config.schedule == "cosine":
        lines.append("    return LEARNING_RATE * (1 + math.cos(math.pi * step / max(steps - 1, 1))) / 2")
    elif config.schedule == "step":
        lines += [
            "    epoch = step * EPOCHS // steps",
            f"    return LEARNING_RATE * {config.step_factor:g} ** (epoch // {config.step_epochs})",
        ]
    else:
        lines.append("    return LEARNING_RATE")
    normalised = "(x.float().div(255) - MEAN) / STD" if config.normalization == "standard" else "x.float().div(255)"
    lines += [
        "",
        "",
        "@torch.no_grad()",
        "def measure(model, images, labels):",
        '    """Mean cross-entropy in nats, and the share read right."""',
        "    model.eval()",
        f"    logits = torch.cat([model({normalised}) for x in images.to(DEVICE).split(1000)]).cpu()",
        "    return F.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).float().mean().item()",
    ]
    return "\n".join(lines)


def _training(config: TrainConfig) -> str:
    decay = f", weight_decay={config.weight_decay:g}" if config.weight_decay else ""
    kinds = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
    momentum = f", momentum={config.momentum:g}" if config.optimizer == "sgd" else ""
    if config.optimizer == "adamw" and not decay:
        decay = ", weight_decay=0"
    x = "images[rows].to(DEVICE).float().div(255)"
    if _augmented(config):
        x = f"augment({x})"
    lines = [
        f"optimizer = torch.optim.{kinds[config.optimizer]}(net.parameters(), LEARNING_RATE{momentum}{decay})",
    ]
    model = "net"
    if config.ema_decay:
        model = "average.module"
        lines += [
            "# the mean of the weights over the last steps, whose memory grows with the steps taken",
            "def update(mean, new, n):",
            f"    return mean + (new - mean) * (1 - min({config.ema_decay:g}, (1 + n) / (10 + n)))",
            "",
            "",
            "average = torch.optim.swa_utils.AveragedModel(net, avg_fn=update, use_buffers=True)",
        ]
    if config.keep == "best" or config.patience:
        lines.append("best, since = (0, 0), 0")
    lines += [
        "step, steps = 0, EPOCHS * math.ceil(len(train_rows) / BATCH_SIZE)"
        if config.schedule in ("one-cycle", "cosine") or config.rotation or config.shear
        else "step, steps = 0, EPOCHS * -(-len(train_rows) // BATCH_SIZE)",
        "for epoch in range(EPOCHS):",
        "    net.train()",
        "    for rows in train_rows[torch.randperm(len(train_rows))].split(BATCH_SIZE):",
        "        for group in optimizer.param_groups:",
        '            group["lr"] = learning_rate(step, steps)',
        f"        x, y = {x}, labels[rows].to(DEVICE)",
    ]
    given = "(x - MEAN) / STD" if config.normalization == "standard" else "x"
    if config.precision == "float32":
        lines.append(f"        logits = net({given})")
    else:
        lines += [
            "        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=BFLOAT16):",
            f"            logits = net({given}).float()",
        ]
    smoothing = f", label_smoothing={config.label_smoothing:g}" if config.label_smoothing else ""
    lines.append(f"        loss = F.cross_entropy(logits, y{smoothing})")
    if config.l2_first:
        lines += [
            "        first = next(layer for layer in net.modules() if isinstance(layer, nn.Linear))",
            f"        loss = loss + {config.l2_first:g} * first.weight.square().sum()",
        ]
    lines += ["        optimizer.zero_grad()", "        loss.backward()", "        optimizer.step()"]
    if config.ema_decay:
        lines.append("        average.update_parameters(net)")
    lines += [
        "        step += 1",
        f"    val_loss, val_accuracy = measure({model}, images[val_rows], labels[val_rows])",
        '    print(f"epoch {epoch + 1}: loss {loss.item():.4f}, validation {val_loss:.4f}, {val_accuracy:.2%}")',
    ]
    if config.keep == "best" or config.patience:
        kept = f", copy.deepcopy({model}.state_dict())" if config.keep == "best" else ""
        names = "best, since, kept" if kept else "best, since"
        lines += [
            "    if (val_accuracy, -val_loss) > best or epoch == 0:",
            f"        {names} = (val_accuracy, -val_loss), 0{kept}",
            "    else:",
            "        since += 1",
        ]
        if config.patience:
            lines += [f"    if since >= {config.patience}:", "        break"]
        if kept:
            lines.append(f"{model}.load_state_dict(kept)")
    lines += [
        f"test_loss, test_accuracy = measure({model}, test_images, test_labels)",
        'print(f"test: loss {test_loss:.4f}, accuracy {test_accuracy:.2%}")',
        f'torch.save({model}.state_dict(), "weights.pt")',
    ]
    return "\n".join(lines)
