"""What the machine has: the processor's flags, and what the environment leaves of them."""

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
