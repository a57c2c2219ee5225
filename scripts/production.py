#!/usr/bin/env python3
"""Sets otpd up by README's page "For production" alone, as the page's separate users, and logs a shopper in; then backs it up, loses its
data folder and restores it by docs/backup.md alone.

Needs root, and runs in a mount namespace of its own: /etc, /run, /var/lib and /usr/local/bin are copies that go with it, so that users,
groups and folders of the machine stay as they are. Prints what it ran and what came; exits 0 when every step went as the page says.

    scripts/production.py FOLDER-OF-PROGRAMS
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPOOL = "/var/lib/otp-courier"


def say(text):
    print(text, flush=True)


def blocks(page):
    """Its fenced blocks, as (language, text)."""
    return re.findall(r"```(\w*)\n(.*?)```", page, re.S)


def lines_of(found):
    """The commands of the blocks in sh."""
    text = "".join(text for language, text in found if language == "sh")
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines if line and not line.startswith("#")]


def run(command, user=None, expect=0, typed=None):
    line = ["runuser", "-u", user, "--", "sh", "-c", command] if user else ["sh", "-c", command]
    say(f"{user or 'root'}$ {command}")
    done = subprocess.run(line, input=typed, capture_output=True, text=True, timeout=15, cwd="/")
    for text in (done.stdout + done.stderr).splitlines():
        say("    " + text)
    if done.returncode != expect:
        sys.exit(f"production.py: exit code {done.returncode} instead of {expect}: {command}")
    return done.stdout + done.stderr


def start(command, log):
    say(f"root$ {command} &")
    out = open(log, "w")
    return subprocess.Popen(["sh", "-c", "exec " + command], stdout=out, stderr=out, cwd="/")


def wait_for(what, condition):
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"production.py: {what} didn't come within 10 s")
        time.sleep(0.02)


def private_machine():
    """Copies of what the page changes, seen by this process and its children alone."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for path in ("/etc", "/run", "/var/lib", "/var/backups", "/usr/local/bin"):
        copy = None
        if path == "/etc":
            copy = pathlib.Path("/tmp") / f"otpd-etc-{os.getpid()}"
            shutil.copytree(path, copy, symlinks=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path], check=True)
        if copy:
            shutil.copytree(copy, path, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(copy)


def field(text, name):
    return re.search(rf"^{name}: +(\S+)", text, re.M).group(1)


def main():
    programs = pathlib.Path(sys.argv[1]).resolve()
    private_machine()
    if subprocess.run(["getent", "passwd", "www-data"], capture_output=True).returncode != 0:
        run("useradd --system --user-group www-data")
    found = blocks((ROOT / "README.md").read_text().split("## For production")[1].split("\n## ")[0])
    config = next(text for language, text in found if language == "toml" and "[[listener]]" in text)
    servers, log = [], "/tmp/otpd-production.log"
    try:
        for line in lines_of(found):
            if line == "make release":
                say("(the programs are built already)")
                continue
            if line.startswith("install ") and ".build/release/" in line:
                line = line.replace(".build/release", str(programs))
            if "otpd check-config" in line:
                pathlib.Path("/etc/otpd/otpd.toml").write_text(config)
                run(line)
            elif "otpd --config" in line:
                servers.append(start(line, log))
                wait_for("the socket", lambda: os.path.exists("/run/otpd/otpd.sock"))
            elif "/dev/stdin" in line:
                run(line, typed="secret\n")
            elif "otp-courier smpp" in line:
                courier(line, servers)
            else:
                run(line)
        used = shopper(log)
        backups()
    finally:
        # The courier first: it would wait for its server.
        for server in reversed(servers):
            server.terminate()
            server.wait()
    restores(found, used, log)
    # A chroot has no /proc.
    for name in ("otpd", "otpctl", "otp-courier"):  # what the page installs
        run(f"unshare -m sh -c 'umount -l /proc; {name} --version'")
    strangers()
    say("production.py: set up by the page alone, a shopper logged in, and nothing could be played back after a restore")


def courier(line, servers):
    """The page's command reaches its SMSC only where there is one: it must get as far as that, and a spool stands in for it."""
    smpp = start(line, "/tmp/otpd-production-smpp.log")
    time.sleep(1)
    told = pathlib.Path("/tmp/otpd-production-smpp.log").read_text()
    if smpp.poll() is not None or "ermission" in told or "running?" in told:
        sys.exit("production.py: the courier of the page: " + told)
    smpp.terminate()
    smpp.wait()
    run(f"install -d -o otp-courier -m 0700 {SPOOL}")
    servers.append(
        start(f"runuser -u otp-courier -- otp-courier spool --allow-plaintext --socket /run/otpd/otpd.sock --directory {SPOOL}/spool",
              "/tmp/otpd-production-courier.log"))


def shopper(log):
    asked = run("otpctl request --account alice --phone +33612345678", user="www-data")
    challenge = field(asked, "challenge")
    file = pathlib.Path(f"{SPOOL}/spool/{challenge}-1.sms")
    wait_for("the SMS", lambda: file.exists() and "\n\n" in file.read_text())
    code = file.read_text().split("\n\n")[1].split()[0]
    granted = run(f"otpctl verify {challenge} {code}", user="www-data")
    open_one = field(run("otpctl request --account bob --phone +33612345679", user="www-data"), "challenge")
    file = pathlib.Path(f"{SPOOL}/spool/{open_one}-1.sms")
    wait_for("the SMS", lambda: file.exists() and "\n\n" in file.read_text())
    run(f"otpctl grant redeem {field(granted, 'grant')} --account alice", user="www-data")
    run("otpctl --socket /run/otpd/otpd.sock stats | head -3")
    run("otpctl events | tail -2")
    # Who isn't a member is told so, with the command that mends it.
    began = time.monotonic()
    told = run("otpctl ping --timeout 60", user="nobody", expect=6)
    if time.monotonic() - began > 10:
        sys.exit("production.py: otpctl waits for a permission")
    if "usermod --append --groups otpd-clients nobody" not in told or "start it with" in told:
        sys.exit("production.py: a user without the group isn't told of it")
    if "can't" in pathlib.Path(log).read_text():
        sys.exit("production.py: the server's log has remarks:\n" + pathlib.Path(log).read_text())
    return [(challenge, code), (open_one, file.read_text().split("\n\n")[1].split()[0])]


def backup_page():
    return blocks((ROOT / "docs/backup.md").read_text())


def backups():
    """docs/backup.md while otpd serves: by hand, as the unit does it, as cron does it."""
    for line in lines_of(backup_page()):
        if line.startswith("systemctl"):
            say(f"(no systemd here: {line})")
        elif line.startswith("install -m 0644 docs/"):
            run(f"cd {ROOT} && {line}")
            if shutil.which("systemd-analyze"):
                told = run("systemd-analyze verify /etc/systemd/system/otpd-backup.timer /etc/systemd/system/otpd-backup.service")
                if "otpd-backup" in told:
                    sys.exit("production.py: systemd doesn't like the units")
        elif "otpd restore" in line or "otpd upgrade" in line or "before-upgrade" in line:
            continue
        else:
            run(line)
    unit = (ROOT / "docs/systemd/otpd-backup.service").read_text()
    for key in ("ExecStart", "ExecStartPost"):
        command = re.search(rf"^{key}=(.*)$", unit, re.M).group(1).replace("$$", "$").replace("%%", "%")
        run(f"OTPD_DATA=/var/lib/otpd/data {command}", user="otpd")
        time.sleep(1.1)  # their names are seconds
    cron = next(text for language, text in backup_page() if language == "cron").strip()
    # cron's own PATH is short.
    run("export PATH=/usr/bin:/bin; " + cron.split(" ", 5)[5].replace("\\%", "%"), user="otpd")
    if len([name for name in os.listdir("/var/backups/otpd") if name.endswith("Z")]) != 2:
        sys.exit("production.py: the unit and cron didn't make a backup each")
    roots = run("find /var/lib/otpd /var/backups/otpd -user root")
    if roots:
        sys.exit("production.py: files became root's")


def restores(page, used, log):
    """The folder is lost; docs/backup.md brings it back; no code of before is taken."""
    run("mv /var/lib/otpd/data /var/lib/otpd/data.lost")
    lines = lines_of(backup_page())
    run(next(line for line in lines if "otpd restore" in line))
    for line in lines:
        if "before-upgrade" in line or "otpd upgrade" in line:
            run(line)
    server = start(next(line for line in lines_of(page) if "otpd --config" in line), log)
    try:
        wait_for("the restored server", lambda: subprocess.run(["otpctl", "ping"], capture_output=True).returncode == 0)
        for challenge, code in used:
            run(f"otpctl verify {challenge} {code}", user="www-data", expect=3)
        run("otpctl request --account carol --phone +33612345677", user="www-data")
    finally:
        server.terminate()
        server.wait()


def strangers():
    """What goes wrong when a step is left out is said by check-config, with the step."""
    run("gpasswd --delete otpd otpd-clients && gpasswd --delete www-data otpd-clients")
    told = run("otpd check-config /etc/otpd/otpd.toml", expect=1)
    if "usermod --append --groups otpd-clients otpd" not in told:
        sys.exit("production.py: check-config doesn't name the missing group")
    told = run("otpd --config /etc/otpd/otpd.toml", user="otpd", expect=1)
    if "usermod --append --groups otpd-clients otpd" not in told:
        sys.exit("production.py: a start doesn't name the missing group")
    run("usermod --append --groups otpd-clients otpd && chown root /etc/otpd/master.key")
    told = run("otpd check-config /etc/otpd/otpd.toml", expect=1)
    if "chown otpd /etc/otpd/master.key" not in told or "master_key" not in told:
        sys.exit("production.py: check-config doesn't name the key that its user can't read")
    told = run("otpd --config /etc/otpd/otpd.toml", user="otpd", expect=1)
    if "chown otpd /etc/otpd/master.key" not in told or "Give the master key" in told:
        sys.exit("production.py: a start doesn't say who can't read the key")
    run("chown otpd /etc/otpd/master.key")
    told = run("otpd check-config /etc/otpd/otpd.toml")
    if "usermod --append --groups otpd-clients www-data" not in told:
        sys.exit("production.py: check-config doesn't name the web tier that can't connect")
    # What can't be looked at isn't absent: nobody is sent to a backup, or to `otpd init`.
    for change, back, words in (
        ("chown root /var/lib/otpd/data/lmdb", "chown otpd /var/lib/otpd/data/lmdb", "as root, `chown "),
        ("chown root: /var/lib/otpd && chmod 0700 /var/lib/otpd", "chown otpd: /var/lib/otpd", "can't go through /var/lib/otpd"),
    ):
        run(change)
        for told in (run("otpd check-config --user otpd /etc/otpd/otpd.toml", expect=1),
                     run("otpd --config /etc/otpd/otpd.toml", user="otpd", expect=1)):
            wrong = [word for word in ("is missing", "backup", "otpd init", "not an otpd data folder") if word in told]
            if wrong or words not in told:
                sys.exit(f"production.py: after `{change}` the advice is wrong: {wrong}")
        run(back)
    # Nothing that is printed for root changes a folder of the system's.
    config = pathlib.Path("/etc/otpd/otpd.toml").read_text()
    for path in ("/run/otpd.sock", "/etc/otpd.sock", "/otpd.sock", "/run/otpd", "/proc/otpd.sock"):
        pathlib.Path("/etc/otpd/other.toml").write_text(config.replace("/run/otpd/otpd.sock", path))
        told = run("otpd check-config /etc/otpd/other.toml", expect=1)
        if any(word in told for word in ("chown", "chmod", "chgrp")):
            sys.exit("production.py: a command that would change the system's folders")
    run("chown root /etc/otp-courier/smsc.password")
    told = run("otp-courier smpp --host smsc.example --port 3550 --tls --system-id shop --source Example "
               "--socket /run/otpd/otpd.sock --password-file /etc/otp-courier/smsc.password", user="otp-courier", expect=1)
    if "chown otp-courier /etc/otp-courier/smsc.password" not in told:
        sys.exit("production.py: the courier doesn't say who can't read the password")


if __name__ == "__main__":
    if os.geteuid() != 0:
        say("production.py: skipped: it makes users and needs root")
    elif os.environ.get("OTPD_PRIVATE") != "1":
        able = subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
        if not able:
            say("production.py: skipped: this machine gives no mount namespace")
        else:
            sys.exit(subprocess.run(["unshare", "-m", sys.executable, __file__] + sys.argv[1:],
                                    env=os.environ | {"OTPD_PRIVATE": "1"}).returncode)
    else:
        main()
