import os
import subprocess
import sys
import threading

import pytest

from resnet50._io import workers
from resnet50._io.workers import in_order, usable_cores


def test_results_come_in_order_whichever_is_ready_first(monkeypatch):
    monkeypatch.setattr(workers, "THREADS", 4)
    second = threading.Event()

    def double(item):
        if item == 0:
            assert second.wait(30)  # for a thread that works beside this one
        elif item == 1:
            second.set()
        return 2 * item

    assert list(in_order(double, range(100))) == list(range(0, 200, 2))
    assert list(in_order(double, [])) == []


def test_only_a_few_are_done_ahead():
    asked = []
    results = in_order(lambda item: item, (asked.append(item) or item for item in range(1000)), ahead=8)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(asked) <= 5 + 8
    results.close()
    assert len(asked) <= 5 + 8


def test_an_error_of_one_is_raised(monkeypatch):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // (item - 30), range(1000)))
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_no_more_threads_than_cores_that_may_be_used():
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        "from resnet50._io.workers import THREADS, usable_cores; print(THREADS, usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 1\n"


def test_no_more_threads_than_memory_is_for():
    code = (
        "import os; os.sched_getaffinity = lambda process: range(200); "
        "from resnet50._io.workers import THREADS, usable_cores; print(THREADS, usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "8 200\n"


def test_all_cores_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_cores() == 5


@pytest.mark.parametrize(("asked", "cores"), [("2", 2), ("99", 5), ("0", 1), ("many", 5), ("", 5)])
def test_omp_num_threads_lowers_the_number(monkeypatch, asked, cores):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert usable_cores() == cores
