"""Train a small network to read handwritten digits: the job that README's first command runs.

The data set ships inside scikit-learn, so nothing is downloaded. A few seconds on one cpu; a line per epoch, the accuracy at the end.
"""

from __future__ import annotations

import argparse
import os
import time

# One thread unless the job was given more: the matrices are small, and other jobs share the machine.
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(float(os.environ.get("TENURE_CPUS", "1"))))))

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--depth", type=int, default=2, help="hidden layers")
    parser.add_argument("--hidden", type=int, default=128, help="units per hidden layer")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def moved(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images and the same moved by one pixel up, down, left and right: five times as many to learn from."""
    square = images.reshape(-1, 8, 8)
    copies = [square] + [np.roll(square, step, axis) for axis in (1, 2) for step in (-1, 1)]
    return np.concatenate(copies).reshape(-1, 64), np.tile(labels, len(copies))


def main() -> None:
    """Train, and say how it goes."""
    chosen = arguments()
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=0.25, random_state=chosen.seed, stratify=labels)
    train_x, train_y = moved(train_x, train_y)
    scale = StandardScaler().fit(train_x)
    train_x, test_x = scale.transform(train_x), scale.transform(test_x)
    layers = (chosen.hidden,) * chosen.depth
    network = MLPClassifier(layers, solver="sgd", learning_rate_init=chosen.lr, batch_size=64, random_state=chosen.seed)
    print(f"digits: {len(train_x)} images to learn from, {len(test_x)} to test; layers {layers}, learning rate {chosen.lr}", flush=True)
    started = time.monotonic()
    for epoch in range(1, chosen.epochs + 1):
        network.partial_fit(train_x, train_y, classes=range(10))
        print(f"epoch {epoch:>3}  loss {network.loss_:.4f}  accuracy {network.score(test_x, test_y):.4f}", flush=True)
    print(f"accuracy {network.score(test_x, test_y):.4f} after {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
