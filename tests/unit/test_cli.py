"""The command `sitenet` itself."""

import subprocess
import sys

import pytest

import sitenet
from sitenet.cli import main


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out == f"sitenet {sitenet.__version__}\n"
    assert ended("--help") == 0
    shown = capsys.readouterr().out
    assert "snakemake --cores 2 --configfile configs/quick.yaml" in shown
    assert "sitenet predict my.cif folder/ data.zip" in shown


def test_a_shell_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--print-completion", "bash") == 0
    script = capsys.readouterr().out
    complete = 'COMP_WORDS=(sitenet {}); COMP_CWORD={}; _shtab_sitenet; echo "${{COMPREPLY[@]}}"'
    for words, place, expected in (("sy", 1, "sync"), ("predict --mod", 2, "--model"), ("--ver", 1, "--version")):
        command = script + "\n" + complete.format(words, place)
        run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert run.stdout.split() == [expected], run.stderr


def test_it_is_a_module_too() -> None:
    run = subprocess.run([sys.executable, "-m", "sitenet", "--version"], capture_output=True, text=True)
    assert run.stdout == f"sitenet {sitenet.__version__}\n"
