# SPDX-License-Identifier: Apache-2.0
"""What a volume takes in memory from file to file: itself and its label map, whatever has to be turned or scaled."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.programs import run_untraced

SHAPE, TINY = (320, 320, 192), (320, 320, 8)  # 39 MB, 1.6 MB as they are stored
# Megabytes of pages that the allocator keeps, and of planes that are turned, beyond what the tiny volume had taken.
SLACK = 4

PROGRAM = """
import json, sys
import torch
from sa2_monai.bundle.comparison.machine import peak_memory
from sa2_monai.inference import CaseDataLoader, CaseDataset, CaseEvaluator, case_writer, inferer_for
from sa2_monai.slices import SliceView, load_image, orient_slices, restore_orientation, scale_intensity
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped

torch.set_num_threads(1)
network = torch.nn.Conv2d(1, 9, 1).eval()
steps = Compose([
    load_image("volumes", as_volume=True, channel_first=False, as_stored=True), EnsureChannelFirstd("image"),
    EnsureTyped("image"), orient_slices("volumes", keys="image"), scale_intensity("volumes", "percentiles"),
])
after = Compose([restore_orientation("volumes", steps), case_writer("volumes", sys.argv[1], ["x"] * 9)])

def predict(file):
    loader = CaseDataLoader(CaseDataset([{"image": file}], steps), batch_size=1, num_workers=2)
    inferer = inferer_for(SliceView("whole", [32, 32]), 4)
    CaseEvaluator(torch.device("cpu"), loader, network, inferer=inferer, postprocessing=after).run()

tiny, large = sys.argv[2:]
predict(tiny)
print(json.dumps([peak_memory(lambda file=file: predict(file), "cpu") for file in (tiny, large)]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is told by Linux alone")
def test_a_volume_takes_itself_and_its_label_map(tmp_path: Path) -> None:
    import nibabel as nib

    files = []
    for shape in (TINY, SHAPE):
        header = nib.Nifti1Header()
        header.set_data_shape(shape)
        header.set_data_dtype(np.int16)
        header.set_zooms((0.8, 0.8, 2.0))
        header.set_sform(np.diag([0.8, 0.8, 2.0, 1.0]), code="scanner")  # two axes are flipped
        header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 1, -1024
        header["magic"] = b"n+1"
        voxels = np.arange(np.prod(shape), dtype=np.int64).astype(np.int16)
        file = tmp_path / f"{shape[2]}.nii"
        file.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes())
        files.append(str(file))
    done = run_untraced(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "out"), *files],
        MALLOC_MMAP_THRESHOLD_="131072",
        PYTHONPATH=os.pathsep.join(path for path in sys.path if path),
    )
    assert done.returncode == 0, done.stderr
    tiny, large = json.loads(done.stdout.splitlines()[-1])
    array = np.prod(SHAPE) * 2 / 2**20
    assert large - tiny < 1.5 * array + SLACK, f"{(large - tiny) / array:.2f} times the array of the file"
    assert (tmp_path / "out" / f"{SHAPE[2]}.nii.gz").is_file()
