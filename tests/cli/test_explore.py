"""``tilewright explore`` on a space of a few points, from the search to a picked design."""

import contextlib
import csv
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tilewright.config import load_config
from tilewright.isa.program import Program
from tilewright.models import DIGITS

FEW = (
    "--vary",
    "block_in=4,8",
    "--vary",
    "block_out=4,8",
    "--vary",
    "vector_lanes=4",
    "--vary",
    "act_depth=1024,16384",
)
ALONE = (
    *("rows=1", "act_banks=2", "wgt_depth=256", "acc_depth=256", "acc_banks=2", "bias_depth=128", "scale_depth=64"),
    *("bus_bits=64", "queue_depth=4"),
)
SPACE = (*FEW, *(word for value in ALONE for word in ("--vary", value)))
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ASKED = ("explore", "-m", DIGITS, "-b", "ulx3s-85f", *SPACE, "--search", "exhaustive", "--jobs", 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explore") / "explore.db"


def test_from_a_search_to_a_design(tilewright: Callable[..., Any], store: Path, tmp_path: Path) -> None:
    table, picture = tmp_path / "all.csv", tmp_path / "front.svg"
    done = tilewright(*ASKED, "--store", store, "--csv", table, "--picture", picture, "--json")
    found = json.loads(done.out)
    assert done.status == 0 and found["points"] == 8 and found["outcomes"]["evaluated"] > 3
    front = found["front"]
    assert [row["number"] for row in front] == list(range(1, len(front) + 1)) and len(front) > 1
    assert [row["latency"] for row in front] == sorted(row["latency"] for row in front)
    assert front[0]["cycles_rung"] == "tuned" and front[0]["latency_rung"] == "closed form, tuned"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 8 and {row["number"] for row in rows} >= {"0", "1"}
    assert picture.read_text().startswith("<?xml")

    report = tmp_path / "report.html"
    again = tilewright("explore", "--store", store, "--json", "--report", report)
    assert json.loads(again.out)["front"] == front
    page = report.read_text()
    layers = page.count("<tr>") - (2 + len(front) + 8)
    assert json.loads(report.with_suffix(".json").read_text())["front"] == front
    assert len(report.with_suffix(".csv").read_text().splitlines()) == 9
    assert page.count("<svg") == 3 and layers > 5 and page.count(' cycles">') >= len(front) and "{{" not in page
    assert not re.search(r'(src|href)="(?!#)', page), "it must need nothing from elsewhere"
    design = tmp_path / "design"
    picked = tilewright("explore", "--store", store, "--pick", 1, "--out", design)
    assert picked.status == 0 and str(design / "config.toml") in picked.out
    config = load_config(str(design / "config.toml"))
    assert config.hash == front[0]["hash"]
    assert Program.load(design / "digits.tw").config.hash == config.hash
    assert "module tilewright" in (design / "tilewright.v").read_text()
    built = (design / "build.sh").read_text()
    assert "--board ulx3s-85f --config config.toml --memory sdram" in built and '--clock "${1:-50}"' in built
    missing = tilewright("explore", "--store", store, "--pick", 99, "--out", design)
    assert missing.complaint.endswith(f"the design to pick must be a number from 1 to {len(front)}, not 99")


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")
def test_the_report_in_a_browser(tilewright: Callable[..., Any], store: Path, tmp_path: Path) -> None:
    report, picture = tmp_path / "report.html", tmp_path / "report.png"
    assert tilewright(*ASKED, "--store", store, "--report", report).status == 0
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"),
        *(f"--screenshot={picture}", "--window-size=1200,1600", "--dump-dom", report.as_uri()),
    ]
    shown = subprocess.run(map(str, command), capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert "CONSOLE" not in shown.stderr, shown.stderr
    assert shown.stdout.count("<svg") == 3 and "<h2>Multipliers used, layer by layer</h2>" in shown.stdout
    assert picture.stat().st_size > 20_000, "it shows next to nothing"


def test_the_table_says_where_numbers_are_from(tilewright: Callable[..., Any], store: Path) -> None:
    shown = tilewright(*ASKED, "--store", store, "--require", "dsp<=60")
    assert shown.status == 0, shown.err
    assert " ms cT" in shown.out and "Each number's rung: c closed form, l learnt, t timing, T tuned" in shown.out
    nothing = tilewright(*ASKED, "--store", store, "--require", "latency<=1us")
    assert nothing.status == 0
    assert "No design keeps all constraints. Most often, " in nothing.out and " The nearest is 0." in nothing.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-m", "none.onnx", "-b", "ulx3s-85f"), "model none.onnx does not exist: give an ONNX or TFLite file"),
        (("-m", DIGITS), "the search must have a board, one of ulx3s-85f, "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--vary", "rows=3"), "rows must be a power of two, not 3 "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--vary", "rows"), "--vary must read like 'rows=1,2,4', not 'rows'"),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--require", "2ms"), "constraint must read like "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--minimise", "speed"), "a metric must be one of latency, "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--jobs", 1, "--cluster", "tcp://x:1"), "--jobs must be left out with --cl"),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--cluster", "nowhere"), "--cluster must be "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--vary", "colour=3"), "colour is not a parameter of the hardware; those "),
        (("-m", DIGITS, "-b", "ulx3s-85f", "--require", "dsp<=9", "--require", "dsp>=10"), "constraints must leave "),
        (("--verify",), "--verify must come with --models: without, the last search of the store is shown again"),
        (("--pick", 1), "--pick N and --out FOLDER must be given together"),
        (("--store", "none.db"), "store none.db does not exist: search first, with --store none.db"),
    ],
)
def test_what_can_t_be_searched(
    tilewright: Callable[..., Any], words: tuple[object, ...], complaint: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complaint in tilewright("explore", *words).complaint


def test_ctrl_c_leaves_a_store_that_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tilewright", *map(str, ASKED[:5]), "--search", "random", "--jobs", "2"]
    store = tmp_path / "explore.db"
    host, terminal = pty.openpty()
    heard: list[bytes] = []
    listener = threading.Thread(target=listen, args=(host, heard), daemon=True)
    listener.start()
    process = subprocess.Popen(
        ["env", "--default-signal=INT", "TERM=xterm", *command, "--store", str(store), "--points", "100000"],
        stdout=subprocess.PIPE, stderr=terminal, text=True,
    )  # fmt: skip
    os.close(terminal)
    try:
        wait_for_results(process, store)
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    listener.join(timeout=60)
    os.close(host)
    said = b"".join(heard).decode()
    assert process.returncode == 130 and "Traceback" not in said, said
    while_it_ran, _, after = said.partition("the same command goes on from here")
    assert "/100000" in while_it_ran, said
    assert after and "100000" not in after, "the bar is gone before the table is shown"
    assert "digits on ulx3s-85f" in shown
    done = subprocess.run(
        [sys.executable, "-m", "tilewright", "explore", "--store", str(store), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0 and json.loads(done.stdout)["points"] > 0, done.stderr


def test_a_killed_search_leaves_nobody_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tilewright", *map(str, ASKED[:5]), "--search", "random", "--jobs", "2"]
    store = tmp_path / "explore.db"
    process = subprocess.Popen(
        [*command, "--store", str(store), "--points", "100000"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_for_results(process, store)
        workers = children(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert len(workers) >= 2
    for _ in range(200):
        if not any(Path(f"/proc/{each}").exists() for each in workers):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"still there: {workers}")
    subprocess.run([sys.executable, "-m", "tilewright", "explore", "--store", str(store)], check=True, timeout=60)


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def listen(host: int, heard: list[bytes]) -> None:
    """What a terminal is told, until nobody has it open any more."""
    with contextlib.suppress(OSError):
        while said := os.read(host, 65536):
            heard.append(said)


def wait_for_results(process: "subprocess.Popen[str]", store: Path) -> None:
    from tilewright.explore.store import Store

    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        if store.exists():
            try:
                with Store(store, writes=False) as kept:
                    if any(kept.trials(key) for key in kept.studies()):
                        return
            except Exception:  # being made just now
                pass
        time.sleep(0.1)
    pytest.fail("nothing was evaluated")
