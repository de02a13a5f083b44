"""`scripts/install`: a board becomes a terminal, and one again, and none; nothing is lost over it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "install"

LAID_DOWN = (
    "etc/systemd/system/penlatch.service",
    "etc/sysusers.d/penlatch.conf",
    "etc/tmpfiles.d/penlatch.conf",
    "etc/udev/rules.d/70-penlatch.rules",
)


def install(*arguments: str, umask: int = 0o022, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the script, `within` another program. Pip takes the libraries of this test run for installed ones."""
    return subprocess.run(
        [*within, str(SCRIPT), *arguments],
        env=with_libraries(),
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )


def with_libraries() -> dict[str, str]:
    """An environment in which every Python sees the libraries of this test run."""
    return os.environ | {"PYTHONPATH": sysconfig.get_paths()["purelib"]}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def system_python(program: str) -> str:
    """What a program prints that is run by the system's Python, which the script takes; nothing where there is none."""
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    if python is None:
        return ""
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def same_python() -> bool:
    """Whether the system's Python can use the libraries of this test run."""
    suffix = "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"
    return system_python(suffix) == str(sysconfig.get_config_var("EXT_SUFFIX"))


def without_touching_the_library() -> list[str]:
    """Return what to put before a command so that it sees the system's Python library read-only; takes root."""
    if os.geteuid() != 0:
        return []
    library = system_python("import sysconfig; print(sysconfig.get_path('stdlib'))")
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", library]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system on which penlatch was installed once."""
    if not (ROOT / "models" / "manifest.json").exists():
        pytest.skip("this checkout has no models, and the script refuses it")
    if not same_python():
        pytest.skip("the system's Python is another version than this test run's")
    root = tmp_path_factory.mktemp("root")
    # A tight umask of the caller must not make the program unreadable for the daemon.
    result = install("--root", str(root), umask=0o077, within=without_touching_the_library())
    assert result.returncode == 0, result.stderr
    assert "could not be compiled" not in result.stderr, "bytecode goes below the root, not beside the library"
    return root


def test_the_program_runs_with_its_models(root: Path) -> None:
    program = [str(root / "opt/penlatch/bin/python"), "-m", "penlatch", "--version"]
    run = subprocess.run(program, env=with_libraries(), capture_output=True, text=True, check=True)
    assert run.stdout.startswith("penlatch")
    (models,) = root.glob("opt/penlatch/lib/python3*/site-packages/penlatch/models")
    shipped = {p.name: p.read_bytes() for p in (ROOT / "models").iterdir() if p.suffix in {".tflite", ".json"}}
    assert {p.name: p.read_bytes() for p in models.iterdir()} == shipped
    assert not list(models.parent.rglob("training"))


def test_the_program_names_its_python_by_where_it_will_be(root: Path) -> None:
    program = (root / "opt/penlatch/bin/penlatch").read_text()
    assert "/opt/penlatch/bin/python" in program.partition("\nimport")[0]
    assert not [p for p in (root / "opt/penlatch/bin").iterdir() if not p.is_symlink() and str(root) in p.read_text()]


def test_the_service_finds_everything_compiled(root: Path) -> None:
    bytecode = root / "opt/penlatch/bytecode"
    unit = (ROOT / "systemd/penlatch.service").read_text()
    assert "PYTHONPYCACHEPREFIX=/opt/penlatch/bytecode" in unit
    (package,) = root.glob("opt/penlatch/lib/python3*/site-packages/penlatch")
    library = Path(system_python("import asyncio; print(asyncio.__path__[0])"))
    for source, place in (
        (package, bytecode / package.relative_to(root)),
        (library, bytecode / library.relative_to("/")),
    ):
        wanted = {f"{file.relative_to(source).with_suffix('')}" for file in source.rglob("*.py")}
        found = {str(file.relative_to(place)).partition(".cpython")[0] for file in place.rglob("*.opt-2.pyc")}
        assert wanted == found


def test_everybody_can_read_the_program_whatever_the_umask_of_root(root: Path) -> None:
    assert not [p for p in (root / "opt").rglob("*") if not p.is_symlink() and not mode(p) & stat.S_IROTH]
    assert not [root / file for file in LAID_DOWN if mode(root / file) != 0o644]


def test_the_command_is_on_everybodys_path(root: Path) -> None:
    assert (root / "usr/local/bin/penlatch").readlink() == Path("/opt/penlatch/bin/penlatch")


def test_the_shipped_files_are_laid_down_as_they_are(root: Path) -> None:
    shipped = {p.read_text() for p in (ROOT / "systemd").iterdir()}
    assert {(root / file).read_text() for file in LAID_DOWN} <= shipped
    assert (root / "etc/penlatch/penlatch.toml").read_text() == (ROOT / "systemd/penlatch.toml").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="users and owners take root")
def test_user_folders_and_service_are_in_place(root: Path) -> None:
    accounts = {line.split(":")[0]: line.split(":") for line in (root / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (root / "etc/group").read_text().splitlines()}
    assert groups["input"][3] == groups["dialout"][3] == "penlatch"
    uid, gid = int(accounts["penlatch"][2]), int(groups["penlatch"][2])
    for folder, expected in (("var/lib/penlatch", 0o700), ("run/penlatch", 0o750)):
        status = (root / folder).stat()
        assert (status.st_uid, status.st_gid, mode(root / folder)) == (uid, gid, expected)
    enabled = root / "etc/systemd/system/multi-user.target.wants/penlatch.service"
    assert enabled.readlink() == Path("/etc/systemd/system/penlatch.service")


def test_a_second_run_mends_the_program_and_keeps_the_configuration(root: Path) -> None:
    config = root / "etc/penlatch/penlatch.toml"
    config.write_text('[terminal]\nname = "door-7"\n')
    (module,) = root.glob("opt/penlatch/lib/python3*/site-packages/penlatch/service/daemon.py")
    module.write_text("raise SystemExit\n")
    result = install("--root", str(root))
    assert result.returncode == 0, result.stderr
    assert f"{config} is kept" in result.stderr
    assert config.read_text() == '[terminal]\nname = "door-7"\n'
    assert module.read_text() == (ROOT / "daemon/penlatch/service/daemon.py").read_text()


def test_removing_it_keeps_what_people_entrusted_to_it(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "root"
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns("lib64", "site-packages"))
    data = copy / "var/lib/penlatch/penlatch.db"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(b"people")
    for _ in range(2):
        result = install("--root", str(copy), "--uninstall")
        assert result.returncode == 0, result.stderr
        assert str(data.parent) in result.stderr
    assert data.read_bytes() == b"people"
    assert (copy / "etc/penlatch/penlatch.toml").exists()
    assert not (copy / "etc/udev").exists(), "a folder that the installation made is taken away"
    left = {str(p.relative_to(copy)) for p in copy.rglob("*") if "penlatch" in p.name}
    assert left <= {"var/lib/penlatch", "var/lib/penlatch/penlatch.db", "etc/penlatch", "etc/penlatch/penlatch.toml",
                    "run/penlatch"}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--rot", "x"], "there is no option --rot"), (["--root"], "--root needs a folder")],
)
def test_a_wrong_call_is_refused(arguments: list[str], words: str) -> None:
    result = install(*arguments)
    assert result.returncode == 1
    assert words in result.stderr


def test_its_help_says_what_goes_where_and_does_nothing() -> None:
    result = install("--help")
    assert result.returncode == 0
    for words in ("--root DIR", "--uninstall", "/etc/penlatch/penlatch.toml", "gcc, python3-dev"):
        assert words in result.stdout


@pytest.fixture
def public_copy() -> Iterator[Path]:
    """A copy of the scripts where any user can read it; the checkout may lie out of their reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(ROOT / "scripts", Path(folder, "scripts"), ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving up rights takes root")
def test_without_rights_it_says_so(public_copy: Path) -> None:
    nobody = 65534
    result = subprocess.run(
        [public_copy / "scripts" / "install"],
        user=nobody,
        group=nobody,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "must be run as root: sudo" in result.stderr


@pytest.mark.parametrize(
    "name", ["etc/systemd", "opt", "usr/local/bin", "etc/penlatch", "etc/udev/rules.d/70-penlatch.rules"]
)
@pytest.mark.parametrize("action", [[], ["--uninstall"]])
def test_a_link_in_an_image_leads_nothing_out_of_it(tmp_path: Path, name: str, action: list[str]) -> None:
    outside, image = tmp_path / "outside", tmp_path / "image"
    (outside / "penlatch").mkdir(parents=True)
    (outside / "penlatch" / "kept").touch()
    (image / name).parent.mkdir(parents=True)
    (image / name).symlink_to(outside)
    result = install("--root", str(image), *action)
    assert result.returncode != 0
    assert f"leads out of {image}" in result.stderr
    assert sorted(str(path.relative_to(outside)) for path in outside.rglob("*")) == ["penlatch", "penlatch/kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be misled by another user: sudo")
def test_root_does_not_install_into_a_folder_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 42_417, 42_418)
    result = install("--root", str(tmp_path))
    assert result.returncode != 0
    assert "belongs to another user" in result.stderr
    assert list(tmp_path.iterdir()) == []
