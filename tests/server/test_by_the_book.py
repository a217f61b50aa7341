"""docs/deploy.md, followed word for word on an empty Debian that systemd boots: `make test-server`, as root.

The server shares this machine's network: ports 80, 443, 8501 and 8502 must be free.
"""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.debian import children, make_debian

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNIT = "integrations@8501"


def health(port: int | str = 8501) -> str:
    """Return the command that prints the answer of the health check."""
    address = f"http://127.0.0.1:{port}/integrations/health/ready"
    return f"python3 -c \"from urllib.request import urlopen; print(urlopen('{address}').read().decode())\""


def blocks(heading: str) -> list[str]:
    """Return the blocks of commands under a heading."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@dataclass(frozen=True)
class Server:
    """A Debian in a container, with systemd as its first process."""

    leader: int

    def run(self, script: str, typed: str = "") -> str:
        """Run root's commands in a new shell, up to the first that fails; return their output."""
        enter = ["nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "-C", "--wdns=/root"]
        command = [*enter, "env", "-i", f"PATH={PATH}", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"]
        done = subprocess.run(
            [*command, "sh", "-ec", script], input=typed, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout.strip()

    def eventually(self, script: str, expected: str, *, seconds: float = 30) -> None:
        """Wait until these commands print this."""
        end = time.monotonic() + seconds
        while (found := self.run(f"({script}) 2>&1 || true")) != expected:
            assert time.monotonic() < end, found
            time.sleep(0.2)


def first_process(container: "subprocess.Popen[bytes]", console: Path) -> int:
    """Wait for the systemd of the container; return its number."""
    while True:
        for child in children(container.pid):
            with suppress(FileNotFoundError):  # it has just ended
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return child
        assert container.poll() is None, console.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Boot a Debian that has only the packages to boot, and certificates."""
    with tempfile.TemporaryDirectory(prefix="server-") as folder, ExitStack() as ending:
        root = Path(folder) / "root"
        make_debian(root, "dbus", "systemd", "systemd-sysv")
        boot = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=read-only"]
        boot += [f"--directory={root}", f"--bind-ro={ROOT}:/repository", "--boot"]
        with (Path(folder) / "console").open("wb") as console:
            container = subprocess.Popen(boot, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        ending.callback(container.wait, timeout=60)
        ending.callback(container.terminate)
        machine = Server(first_process(container, Path(folder) / "console"))
        machine.eventually("systemctl is-system-running", "running")
        machine.run("apt-get update -qq; git --version 2>/dev/null && exit 1 || true")
        yield machine


@pytest.fixture(scope="module")
def installed(server: Server) -> Server:
    """Install the panel and its first user. REPOSITORY is this project; the password comes through a pipe."""
    install, first_user = blocks("Install")
    server.run(install.replace("REPOSITORY", "/repository"))
    assert "panel users add alice --role admin\n" in first_user
    added = first_user.replace("--role admin\n", "--role admin --password-stdin\n").partition("panel check")[
        0
    ]
    assert server.run(added, typed="test-password-not-secret") == (
        "Added alice to /var/lib/integrations/auth.yaml."
    )
    return server


@pytest.fixture(scope="module")
def serving(installed: Server) -> Server:
    """Start the unit."""
    (start,) = blocks("As a service")
    installed.run(start.partition("journalctl")[0])
    installed.eventually(health(), "ready")
    return installed


def test_the_check_finds_only_the_missing_key(installed: Server) -> None:
    """Only the operator can give the key."""
    _, first_user = blocks("Install")
    define = first_user.partition("panel users")[0]
    lines = installed.run(f"{define}\npanel check || echo exit $?").splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith("ok ")] == ["FIX  IMAI", "exit 1"]


def test_the_unit_is_reloaded_restarted_after_a_kill_and_stopped(serving: Server) -> None:
    """It works under all its restrictions, and only its own user can read its files."""
    serving.run(f"systemctl reload {UNIT}")
    serving.eventually(f"journalctl -u {UNIT} -o cat | grep -c 'Accounts reloaded'", "1")
    serving.run(f"kill -9 $(systemctl show -p MainPID --value {UNIT})")
    serving.eventually(f"systemctl show -p NRestarts --value {UNIT}", "1")
    serving.eventually(health(), "ready")
    serving.run(f"systemctl stop {UNIT}")
    assert serving.run(f"systemctl show -p Result -p ExecMainStatus {UNIT}").split() == [
        "Result=success",
        "ExecMainStatus=0",
    ]
    assert serving.run("find /var/lib/integrations ! -user integrations -o -perm /077") == ""
    assert "WARNING" not in serving.run(f"journalctl -u {UNIT} -o cat")
    serving.run(f"systemctl start {UNIT}")
    assert serving.run(health()) == "ready"  # at once: systemctl waits until the panel serves


def test_an_upgrade_leaves_the_running_panel_alone_until_the_restart(serving: Server) -> None:
    """The old environment stays next to the new one, and the users stay. VERSION is the commit of today."""
    (upgrade,) = blocks("Upgrade")
    version = serving.run("git -C /opt/integrations rev-parse HEAD")
    *before, restart = upgrade.replace("VERSION", version).strip().splitlines()
    running = (
        f"readlink /proc/$(systemctl show -p MainPID --value {UNIT})/exe; ls -d /opt/integrations/.venv-*"
    )
    old = serving.run("readlink -f /opt/integrations/.venv")
    serving.run("\n".join(before))
    assert serving.run(health()) == "ready"
    assert old in serving.run(running)
    assert serving.run("readlink -f /opt/integrations/.venv") != old
    serving.run(restart)
    serving.eventually(health(), "ready")
    assert "alice" in serving.run(blocks("Install")[1].partition("panel users")[0] + "panel users list")


def test_the_demo_of_the_readme_runs_next_to_it(installed: Server) -> None:
    """It runs from a fresh clone, prints URL, user and password, and serves."""
    begin = "(git clone -q /repository panel; cd panel; exec make demo) >/root/demo.log 2>&1 & echo $!"
    demo = installed.run(begin)
    installed.eventually("grep -cE '^ *(URL|User|Password) ' /root/demo.log", "3", seconds=180)
    port = installed.run(r"sed -nE 's|.*URL .*:([0-9]+).*|\1|p' /root/demo.log")
    installed.eventually(health(port), "ready")
    installed.run(f"kill {demo}")
    installed.eventually(f"{health(port)} >/dev/null 2>&1 || echo gone", "gone")


ASK = "curl -sS --cacert /etc/ssl/panel.example.com.pem --resolve panel.example.com:443:127.0.0.1 https://panel.example.com"


@pytest.fixture(scope="module")
def behind_nginx(serving: Server) -> Server:
    """Put nginx in front, with a certificate for the document's name."""
    (behind,) = blocks("nginx")
    serving.run(
        "apt-get install -y -qq openssl curl && "
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=panel.example.com "
        "-keyout /etc/ssl/panel.example.com.key -out /etc/ssl/panel.example.com.pem"
    )
    serving.run(behind)
    serving.eventually(f"{ASK}/integrations/health/ready", "ready")
    return serving


def test_nginx_shows_the_page(behind_nginx: Server) -> None:
    """It does so over HTTPS."""
    assert "<title>" in behind_nginx.run(f"{ASK}/")


def test_two_commands_add_a_process_and_a_third_restarts_both_in_turn(behind_nginx: Server) -> None:
    """Then either of them may stop, and nginx still has an answer."""
    add, restart = blocks("Several processes")
    behind_nginx.run(add)
    behind_nginx.run(restart)
    for port in (8501, 8502):
        assert behind_nginx.run(health(port)) == "ready"
    for port in (8501, 8502):
        behind_nginx.run(f"systemctl stop integrations@{port}")
        assert behind_nginx.run(f"{ASK}/integrations/health/ready") == "ready"
        behind_nginx.run(f"systemctl start integrations@{port}")
    behind_nginx.run("systemctl disable --now integrations@8502")
