"""Memory that is freed stays with the process: a training step takes next to no fresh page."""
import ctypes
import platform
import subprocess
import sys

import pytest

from minigan.engine import memory

STEPS = """
import resource
import minigan as mg
G, D = mg.models.dcgan(mg.host_rng(0), image_shape=(32, 32, 3), width=16)
gan, noise = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam()), mg.rng(1)
real = gan.sample(64, 0)
counts = []
for step in range(16):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    gan.train_step(real, gan.noise(64, noise))
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(counts[8:])[4])
"""


@pytest.fixture
def plain_environment(monkeypatch):
    for name in ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def glibc():
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("this is not glibc")


def page_faults():
    """Of a step, once it has been made eight times."""
    return int(subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True).stdout)


def test_a_step_takes_no_fresh_memory(plain_environment, glibc, monkeypatch):
    assert page_faults() < 30
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")     # glibc's own way, which the user has asked for
    assert page_faults() > 1000


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_settings_of_the_environment_are_left_alone(plain_environment, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert memory.keep_freed_memory.__wrapped__() is False


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_without_glibc_nothing_breaks(plain_environment, monkeypatch, error):
    def missing(name):
        raise error
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert memory.keep_freed_memory.__wrapped__() is False
