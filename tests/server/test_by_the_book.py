"""docs/deploy.md, followed word for word on an empty Debian that systemd has booted: `make test-server`, as root.

The server shares this machine's network: ports 80, 443 and 8501 must be free.
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
ADDRESS = "http://127.0.0.1:8501/integrations/health/ready"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ANSWERS = f"python3 -c \"from urllib.request import urlopen; print(urlopen('{ADDRESS}').read().decode())\""


def blocks(heading: str) -> list[str]:
    """The commands that stand under a heading."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@dataclass(frozen=True)
class Server:
    """A Debian in a container, with systemd as its first process."""

    leader: int

    def run(self, script: str, typed: str = "") -> str:
        """What root's commands print there; the first that fails ends them."""
        enter = ["nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "-C", "--wdns=/root"]
        command = [*enter, "env", "-i", f"PATH={PATH}", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"]
        done = subprocess.run(
            [*command, "sh", "-ec", script], input=typed, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout.strip()

    def eventually(self, script: str, expected: str, *, seconds: float = 30) -> None:
        """Wait until they print that."""
        end = time.monotonic() + seconds
        while (found := self.run(f"({script}) 2>&1 || true")) != expected:
            assert time.monotonic() < end, found
            time.sleep(0.2)


def first_process(container: "subprocess.Popen[bytes]", console: Path) -> int:
    """The systemd in it, once it runs."""
    while True:
        for child in children(container.pid):
            with suppress(FileNotFoundError):  # one that was there for a moment
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return child
        assert container.poll() is None, console.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Booted, with nothing but what Debian needs to boot, and certificates."""
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
    """With the panel and its first user. REPOSITORY is this project's; the password is typed into a pipe."""
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
    """With the unit started."""
    (start,) = blocks("As a service")
    installed.run("cd /opt/integrations\n" + start.partition("journalctl")[0])
    installed.eventually(ANSWERS, "ready")
    return installed


def test_what_is_checked_is_right_but_for_the_key(installed: Server) -> None:
    """The key is what nobody but the operator can give."""
    _, first_user = blocks("Install")
    define = first_user.partition("panel users")[0]
    said = installed.run(f"{define}\npanel check || echo exit $?").splitlines()
    assert [line.partition(":")[0] for line in said if not line.startswith("ok ")] == ["FIX  IMAI", "exit 1"]


def test_the_unit_is_reloaded_brought_back_and_stopped(serving: Server) -> None:
    """Under all its restrictions; what it keeps is its own user's alone."""
    serving.run("systemctl reload integrations")
    serving.eventually("journalctl -u integrations -o cat | grep -c 'Accounts read anew'", "1")
    serving.run("kill -9 $(systemctl show -p MainPID --value integrations)")
    serving.eventually("systemctl show -p NRestarts --value integrations", "1")
    serving.eventually(ANSWERS, "ready")
    serving.run("systemctl stop integrations")
    assert serving.run("systemctl show -p Result -p ExecMainStatus integrations").split() == [
        "Result=success",
        "ExecMainStatus=0",
    ]
    kept = serving.run("find /var/lib/integrations ! -user integrations -o -perm /077")
    assert kept == ""
    assert "WARNING" not in serving.run("journalctl -u integrations -o cat")
    serving.run("systemctl start integrations")
    serving.eventually(ANSWERS, "ready")


def test_an_upgrade_leaves_the_running_panel_alone_until_the_restart(serving: Server) -> None:
    """The old environment stays beside the new one; who is a user stays one."""
    (upgrade,) = blocks("Upgrade")
    *before, restart = upgrade.strip().splitlines()
    running = "readlink /proc/$(systemctl show -p MainPID --value integrations)/exe; ls -d /opt/integrations/.venv-*"
    old = serving.run("readlink -f /opt/integrations/.venv")
    serving.run("\n".join(before))
    assert serving.run(ANSWERS) == "ready"
    assert old in serving.run(running)
    assert serving.run("readlink -f /opt/integrations/.venv") != old
    serving.run(restart)
    serving.eventually(ANSWERS, "ready")
    assert "alice" in serving.run(blocks("Install")[1].partition("panel users")[0] + "panel users list")


def test_the_demo_of_the_readme_runs_beside_it(installed: Server) -> None:
    """From a fresh clone: it prints where to look and how to sign in, and serves there."""
    begin = "(git clone -q /repository panel; cd panel; exec make demo) >/root/demo.log 2>&1 & echo $!"
    demo = installed.run(begin)
    installed.eventually("grep -cE '^ *(URL|User|Password) ' /root/demo.log", "3", seconds=180)
    port = installed.run(r"sed -nE 's|.*URL .*:([0-9]+).*|\1|p' /root/demo.log")
    installed.eventually(ANSWERS.replace("8501", port), "ready")
    installed.run(f"kill {demo}")
    installed.eventually(f"{ANSWERS.replace('8501', port)} >/dev/null 2>&1 || echo gone", "gone")


def test_nginx_is_in_front_of_it(serving: Server) -> None:
    """With a certificate for the document's name."""
    (behind,) = blocks("nginx")
    serving.run(
        "apt-get install -y -qq openssl curl && "
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=panel.example.com "
        "-keyout /etc/ssl/panel.example.com.key -out /etc/ssl/panel.example.com.pem"
    )
    serving.run("cd /opt/integrations\n" + behind)
    ask = "curl -sS --cacert /etc/ssl/panel.example.com.pem --resolve panel.example.com:443:127.0.0.1 "
    serving.eventually(f"{ask} https://panel.example.com/integrations/health/ready", "ready")
    assert "<title>" in serving.run(f"{ask} https://panel.example.com/")
