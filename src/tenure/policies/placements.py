"""Where a task goes, by name: every way is a `Score`, one per module that cites where it comes from."""

from __future__ import annotations

from tenure.core.stages import Score
from tenure.policies.best_fit import BestFit
from tenure.policies.cpu_bands import CpuBands
from tenure.policies.dot_product import DotProduct
from tenure.policies.fgd import FragmentationGradient
from tenure.policies.first_fit import FirstFit
from tenure.policies.gpu_clustering import GpuClustering
from tenure.policies.gpu_locality import GpuLocality
from tenure.policies.gpu_memory import GpuMemory
from tenure.policies.gpu_packing import GpuPacking
from tenure.policies.least_loaded import LeastLoaded
from tenure.policies.potential import Potential
from tenure.policies.thrift import CHEAPEST, FRUGAL
from tenure.policies.worst_fit import WorstFit

PLACEMENTS: dict[str, Score] = {
    "best-fit": BestFit(),
    "cheapest": CHEAPEST,
    "cpu-bands": CpuBands(),
    "dot-product": DotProduct(),
    "fgd": FragmentationGradient(),
    "first-fit": FirstFit(),
    "frugal": FRUGAL,
    "gpu-clustering": GpuClustering(),
    "gpu-locality": GpuLocality(),
    "gpu-memory": GpuMemory(),
    "gpu-packing": GpuPacking(),
    "least-loaded": LeastLoaded(),
    "potential": Potential(),
    "spread": WorstFit(),
}
"""The placements by name. A name always means the same decisions."""

RANDOM = "random"
"""Any node that fits, as a lot decides: the baseline of every placement study."""
