"""The panel of a commit beside that of the working tree: which files run, what fails, what is told."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench import commits
from bench.commits import CommitError, Line
from bench.lineup import Candidate
from bench.pairs import Comparison, warm_rerun
from tests.support.processes import ROOT, Process, Server, run_async

OWN = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


def git(repository: Path, *arguments: str) -> str:
    """Git's answer."""
    command = ["git", "-C", str(repository), *OWN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def git_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git looks into the test's folders, in English, even where a hook of another repository runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits: one without a panel, one with an old one, one with a new one."""
    made = tmp_path / "repository"
    package = made / "integrations" / "__init__.py"
    package.parent.mkdir(parents=True)
    git(made, "init", "--quiet")
    git(made, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    for subject in ("Be old", "Be new"):
        package.write_text(subject, encoding="ascii")
        git(made, "add", ".")
        git(made, "commit", "--quiet", "--message", subject)
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty folder for the files of a commit."""
    made = tmp_path / "tree"
    made.mkdir()
    return made


def line(*ratios: float) -> Line:
    """One whose rounds had these ratios."""
    return Line("Warm rerun", warm_rerun, 1, Comparison([[(ratio, 1.0)] for ratio in ratios]))


def test_a_commit_s_files_are_unpacked(repository: Path, tree: Path) -> None:
    """They are as they were committed, whatever the working tree holds now; the name says which commit it is."""
    name = commits.unpack("HEAD~1", tree, repository)
    assert name == git(repository, "log", "-1", "--format=%h %s", "HEAD~1").strip()
    assert (tree / "integrations" / "__init__.py").read_text(encoding="ascii") == "Be old"


def test_what_cannot_be_unpacked_is_told_in_a_line(repository: Path, tree: Path, tmp_path: Path) -> None:
    """A commit that is not here, one without a panel, a clone that was cut off, a folder without history."""
    first = git(repository, "rev-list", "--max-parents=0", "HEAD").strip()
    cut = tmp_path / "cut"
    git(repository, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(cut))
    for place, commit, told in (
        (repository, "v9", f"there is no commit v9 in {repository}"),
        (
            repository,
            first,
            f"there is no panel in {git(repository, 'log', '-1', '--format=%h %s', first).strip()}",
        ),
        (cut, first, f"there is no commit {first} in {cut}; this clone is shallow: git fetch --unshallow"),
        (tree, "HEAD", "fatal: not a git repository"),
    ):
        with pytest.raises(CommitError) as caught:
            commits.unpack(commit, tree, place)
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)


def test_the_panel_that_runs_is_the_tree_s(tree: Path) -> None:
    """Its files go before those that are installed; the accounts of whoever works in it are left out."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "integrations", tree / "integrations", symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "app.py", tree)
    (tree / ".streamlit").mkdir()
    shutil.copy(ROOT / ".streamlit" / "config.toml", tree / ".streamlit")
    (tree / ".streamlit" / "providers.yaml").write_text("no accounts", encoding="ascii")
    page = tree / "integrations" / "ui" / "page.py"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace('st.title("Integrations"', 'st.title("Quotas of old"'), encoding="utf-8")

    async def look() -> list[str]:
        async with commits.start("before", tree) as panel, panel.viewer() as viewer:
            assert panel.name == "before"
            await viewer.first_visit()
            return viewer.texts()

    assert "Quotas of old" in run_async(look())


def test_a_panel_that_does_not_start_is_told_in_a_line(tree: Path) -> None:
    """Say, since it wants a package that is no longer installed; the line says which of the two it is."""
    (tree / "integrations").mkdir()
    (tree / "integrations" / "__init__.py").write_text("import of_old", encoding="ascii")

    async def begin() -> None:
        async with commits.start("before", tree):
            pass

    told = r"\Athe panel 'before' does not start with the packages here: ModuleNotFoundError: .*'of_old'\Z"
    with pytest.raises(CommitError, match=told):
        run_async(begin())


def test_every_round_has_new_processes_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first samples do not count; who begins changes; a ratio is the working tree's to the commit's."""
    taken: list[str] = []

    @asynccontextmanager
    async def start(name: str, _tree: Path) -> AsyncIterator[Candidate]:
        taken.append(f"start {name}")
        yield Candidate(name, Server("", Process.__new__(Process), 0))

    async def sample(candidate: Candidate) -> float:
        taken.append(candidate.name)
        return 3 if candidate.name == "now" else 2

    monkeypatch.setattr(commits, "start", start)
    shown = Line("Anything", sample, 1)
    run_async(commits.compare(Path(), Path(), [shown], rounds=2))
    assert shown.found.rounds == [[(3, 2)], [(3, 2)]]
    assert shown.found.ratio == 1.5
    warm_up = ["start now", "start before", "now", "before", "before", "now"]
    assert taken == [*warm_up, "now", "before", *warm_up, "before", "now"]


@pytest.mark.parametrize(
    ("ratios", "passed"),
    [
        ((0.5, 0.5), True),
        ((1.03, 1.03), True),
        ((1.04, 1.04), False),
        ((1.0, 1.1, 1.05), True),  # 1.05, give or take 0.058
        ((1.0, 1.1, 1.05) * 3, False),  # the same noise, but more rounds: give or take 0.029
        ((0.9, 1.5, 1.2), True),
        ((1.1, 1.3, 1.2), False),
    ],
)
def test_what_the_noise_explains_is_no_failure(
    ratios: Sequence[float],
    *,
    passed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Above 1 by more than 0.03 and by more than twice the rounds' standard error: exit 1, and the rule is told."""

    async def compare(_now: Path, _before: Path, lines: Sequence[Line], *, rounds: int) -> None:
        assert rounds == 5
        for shown in lines:
            shown.found = line(*ratios).found

    monkeypatch.setattr(commits, "unpack", lambda *_: "abc1234 Be old")
    monkeypatch.setattr(commits, "_run", lambda *_: b"def5678\n")
    monkeypatch.setattr(commits, "compare", compare)
    assert run(monkeypatch, "abc1234", "--rounds", "5") == (0 if passed else 1)
    told = capsys.readouterr().out
    assert told.startswith("now       the working tree, def5678\nbefore    abc1234 Be old\n")
    assert told.count("pass  " if passed else "FAIL  ") == 3
    assert "may be above 1 by 0.03, or by twice the standard error of the rounds' ratios" in told


def test_nothing_measured_is_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one line on standard error: nobody takes it for a panel that has become slower."""
    assert run(monkeypatch, "no-such-commit") == 2
    told = capsys.readouterr()
    assert told.err.startswith("Error: ")
    assert (told.out, told.err.count("\n")) == ("", 1)
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "HEAD", "--rounds", "1")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of `python -m bench.commits`, in a thread of its own: Playwright keeps a loop in the main one."""
    monkeypatch.setattr(sys, "argv", ["bench.commits", *arguments])
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(commits.main).result()
