"""Processes with their processor time, results as JSON, tables as text. No question and no peer belongs here."""

import json
import resource
import subprocess
import time
from pathlib import Path


def measured(command, limit_seconds=None, **options):
    """Runs a command to its end: exit code, output, wall seconds, and CPU seconds with those of all that it waited for."""
    before, begin = _children_cpu_seconds(), time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    try:
        output, _ = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nended after {limit_seconds} s"
    return {
        "code": process.returncode,
        "output": output,
        "wall_seconds": time.monotonic() - begin,
        "cpu_seconds": _children_cpu_seconds() - before,
    }


def _children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def save(path, value):
    """Writes JSON, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(value, indent=1) + "\n")
    beside.replace(path)


def load(path):
    """Reads JSON; None where there is no such file."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None


def number(value, digits=2):
    """A figure for a table; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value, digits=2):
    """A share for a table; a dash for none."""
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def table(title, header, rows):
    """A Markdown table under a heading."""
    lines = [f"### {title}", "", "| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
