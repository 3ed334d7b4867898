"""Tell from the environment, without Keras, whether a launcher has started this process as one of several."""

from __future__ import annotations

from collections.abc import Mapping

from resnet50._io.text import short

_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")  # that JAX reads


def find_launcher(environment: Mapping[str, str]) -> str | None:
    """Return the launcher that started this process as one of several, from which JAX learns the others.

    Args:
        environment: Environment variables.

    Returns:
        ``"SLURM"`` within ``srun``, ``"Open MPI"`` within ``mpirun``, ``"Cloud TPU"`` where a cluster of Google
        Kubernetes Engine names several hosts; None for a process that was started by itself.

    Raises:
        ValueError: If Open MPI does not say where its first process is, which it does up to version 4.
    """
    if all(name in environment for name in _SLURM) and _count(environment, "SLURM_NTASKS") > 1:
        return "SLURM"
    if (count := _count(environment, "OMPI_COMM_WORLD_SIZE")) > 1:
        if "OMPI_MCA_orte_hnp_uri" not in environment:
            raise ValueError(
                f"expected Open MPI to say where the first of its {count} processes is, as it does up to version 4, "
                f"got no OMPI_MCA_orte_hnp_uri; give --hosts ADDRESS,{count},$OMPI_COMM_WORLD_RANK to each, or "
                "--hosts none for runs of their own."
            )
        return "Open MPI"
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return "Cloud TPU"
    return None


def _count(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "1")
    return int(text) if text.isdecimal() else 1


def parse_hosts(hosts: str) -> tuple[str, int, int]:
    """Return address and port of the first process, the number of processes, and the number of this one from 0.

    Args:
        hosts: ``ADDRESS,COUNT,INDEX``, such as ``10.0.0.1:1234,2,0``.

    Raises:
        ValueError: If it is something else.
    """
    address, *numbers = hosts.split(",")
    host, _, port = address.rpartition(":")
    if len(numbers) == 2 and all(number.isdecimal() for number in (port, *numbers)):
        count, index = map(int, numbers)
        if index < count and host:
            return address, count, index
    raise ValueError(
        "expected hosts to be ADDRESS,COUNT,INDEX with the address and port of the first process, their number and "
        f"that of this one from 0, such as 10.0.0.1:1234,2,0, or auto, or none; got {short(hosts)}."
    )
