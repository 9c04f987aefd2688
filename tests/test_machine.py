"""What the machine has: the processor's flags, and what the environment leaves of them."""

import logging
from types import SimpleNamespace

import pytest

from e2e_art import machine


@pytest.mark.parametrize(
    ("flags", "cap", "fast"),
    [
        ("avx2", None, False),
        ("avx2 avx512_bf16", None, True),
        ("avx2 amx_bf16", None, True),
        ("avx2 avx512_bf16", "AVX2", False),
        ("avx2 avx512_bf16", "avx512_core_vnni", False),
        ("avx2 avx512_bf16", "AVX512_CORE_BF16", True),
        ("avx2 avx512_bf16", "DEFAULT", True),
        ("avx2", "AVX512_CORE_BF16", False),
    ],
)
@pytest.mark.parametrize("variable", ["DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA"])
def test_bfloat16_is_what_the_processor_has_and_the_environment_leaves(monkeypatch, variable, flags, cap, fast):
    for name in ("DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    if cap:
        monkeypatch.setenv(variable, cap)
    monkeypatch.setattr(machine, "processor_flags", flags.split)
    assert machine.bfloat16_is_fast() == fast


@pytest.mark.parametrize("within", ["", "docker/1f2e"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_container_s_limit_counts(tmp_path, monkeypatch, version, within):
    groups, membership = tmp_path / "cgroup", tmp_path / "membership"
    names = [("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"), ("memory.max", "memory.current", "")]
    limit, usage, prefix = names[version - 1]
    top = groups if version == 2 else groups / "memory"
    for folder, most in ((top, "max" if version == 2 else str(2**63 - 4096)), (top / "docker", "5000")):
        folder.mkdir(parents=True)
        (folder / limit).write_text(f"{most}\n")
        (folder / usage).write_text("3000\n")
        (folder / "memory.stat").write_text(f"anon 900\n{prefix}active_file 100\n{prefix}inactive_file 200\n")
    if not within:  # the container's own group is all that it sees
        (top / limit).write_text("5000\n")
    line = f"/{within}" if within else "/somewhere/outside"
    membership.write_text(f"1:cpu:/\n4:memory:{line}\n" if version == 1 else f"0::{line}\n")
    monkeypatch.setattr(machine, "CGROUPS", groups)
    monkeypatch.setattr(machine, "MEMBERSHIP", membership)
    assert machine.free_memory() == 5000 - 3000 + 100 + 200


def test_without_control_groups_memory_is_the_machine_s_and_swap_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "none")
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=123))
    monkeypatch.setattr(machine.psutil, "swap_memory", lambda: SimpleNamespace(free=10**12))
    assert machine.free_memory() == 123


def test_threads_are_no_more_than_cores(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert [machine.limit_threads(threads, "--threads") for threads in (1, 2)] == [1, 2]
    assert not caplog.text
    assert machine.limit_threads(2000, "--threads") == 2
    assert "--threads 2000 is more than there are cores: 2 are used" in caplog.text
