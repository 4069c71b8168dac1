"""Small files in the forms of the published sets, written as those forms are specified and not as they are read."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

RNG = np.random.default_rng(0)


def idx(path: Path, array: np.ndarray) -> None:
    """http://yann.lecun.com/exdb/mnist/: two zeros, the type 8, the axes, their lengths with the high byte first, the bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", length) for length in array.shape)
    content = header + bytes(int(value) for value in array.ravel())
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def mnist(folder: Path, train: int = 40, test: int = 10, suffix: str = ".gz") -> dict[str, np.ndarray]:
    made = {}
    for part, count in (("train", train), ("t10k", test)):
        made[f"{part}-images-idx3-ubyte"] = RNG.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        made[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for name, array in made.items():
        idx(folder / f"{name}{suffix}", array)
    return made


def omniglot(path: Path, train: int = 30, test: int = 8, compressed: bool = True) -> dict[str, np.ndarray]:
    made = {}
    for prefix, count in (("", train), ("test", test)):
        pictures = RNG.random((count, 28, 28))
        columns = [np.concatenate([picture[:, j] for j in range(28)]) for picture in pictures]  # as MATLAB unrolls an image
        alphabet = np.arange(count) % 50
        made[f"{prefix}pictures"], made[f"{prefix}alphabet"] = pictures, alphabet
        made[f"{prefix}data"] = np.stack(columns, 1)
        made[f"{prefix}target"] = np.array([[float(a == row) for a in alphabet] for row in range(50)])
        made[f"{prefix}targetchar"] = np.ones((1, count))
    kept = {name: array for name, array in made.items() if "data" in name or "target" in name}
    savemat(path, kept, do_compression=compressed)
    return made


def svhn(folder: Path, train: int = 20, test: int = 6) -> dict[str, np.ndarray]:
    made = {}
    for part, count in (("train", train), ("test", test)):
        x, y = RNG.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8), np.arange(count) % 10 + 1
        columns = np.zeros((32, 32, 3, count), np.uint8)
        for i in range(count):
            columns[:, :, :, i] = x[i]
        savemat(folder / f"{part}_32x32.mat", {"X": columns, "y": y[:, None].astype(np.uint8)}, do_compression=True)
        made[part] = x, y
    return made


def cifar(count: int = 4) -> tuple[dict[str, bytes], dict[str, list]]:
    """Per batch the bytes as https://www.cs.toronto.edu/~kriz/cifar.html has them, and the images and labels."""
    files, made = {}, {}
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        made[name] = [(RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8), int(RNG.integers(10))) for _ in range(count)]
        records = [
            bytes([y, *(int(x[i, j, c]) for c in range(3) for i in range(32) for j in range(32))]) for x, y in made[name]
        ]
        files[name] = b"".join(records)
    return files, made


def tar(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches-bin/") -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def jpeg(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def face(shade: int) -> np.ndarray:
    """Of one shade in the middle 140 columns, black to their left and white to their right."""
    x = np.full((218, 178, 3), shade, np.uint8)
    x[:, :19], x[:, -19:] = 0, 255
    return x


def celeba(path: Path, shades: dict[str, int], folder: str = "img_align_celeba/") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(folder, "")
        for name, shade in shades.items():
            archive.writestr(folder + name, jpeg(face(shade)))


def dsprites(path: Path, count: int = 60) -> dict[str, np.ndarray]:
    """With the pickle that the published file holds, too."""
    made = {
        "imgs": RNG.integers(0, 2, (count, 64, 64)).astype(np.uint8),
        "latents_classes": np.stack([np.zeros(count, int), np.arange(count) % 3, *RNG.integers(0, 6, (4, count))], 1),
        "latents_values": RNG.random((count, 6)),
        "metadata": np.array({"date": "today"}, dtype=object),
    }
    np.savez_compressed(path, **made)
    return made
