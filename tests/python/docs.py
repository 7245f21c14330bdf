"""The documentation: its commands are ones that leakspy takes, its links lead somewhere, and the texts that it explains
are texts that leakspy prints. What it is shown to print, it prints; BLESS=1 writes that anew. Needs $LEAKSPY_BINARY."""

import difflib
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# More than any PID.
NO_PROCESS = str(1 << 22)
WRONG_COMMAND_LINE = 2
# The PID of sessions that are shown.
SHOWN_PID = "4301"


def commands(text):
    """The commands of leakspy in blocks of code, without what a shell does after them."""
    for line in text.splitlines():
        found = re.match(r"    (?:\$ )?(?:sudo )?(leakspy .*?)(?: [>|&#].*)?$", line)
        # `…` and COMMAND stand for something else.
        if found and not re.search(r"[…\[]|COMMAND|\bDIR\b", found[1]):
            yield shlex.split(found[1])


def every_command_is_one_that_leakspy_takes():
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            for words in commands(page.read_text()):
                words = [NO_PROCESS if re.fullmatch(r"\d{4,}|PID|\$!", word) else word for word in words]
                words[0] = os.path.abspath(os.environ["LEAKSPY_BINARY"])
                if "--" in words:
                    words[words.index("--") + 1 :] = ["true"]
                count += 1
                try:
                    ran = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
                except subprocess.TimeoutExpired:
                    # It waits for a process, so it was understood.
                    continue
                said = ran.stderr.decode()
                assert ran.returncode != WRONG_COMMAND_LINE, f"{page.name}: {shlex.join(words[1:])}\n{said}"
    assert count > 40, f"{count} commands were found"


def fragment(heading):
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")


def answers(page):
    """Runs the commands of a page in turn, on the program that it is about: the page with what they print."""
    with tempfile.TemporaryDirectory() as folder:
        # So that its command line is as on the page.
        os.symlink(os.path.realpath(sys.executable), os.path.join(folder, "python3"))
        shutil.copy(ROOT / "docs" / "shop.py", folder)
        path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        shop = subprocess.Popen(["python3", "shop.py"], cwd=folder, env=path, stdout=subprocess.PIPE)
        try:
            assert shop.stdout.readline() == b"open\n"
            return re.sub(
                r"(?m)^    \$ (leakspy .*)\n(?:(?:    (?!\$).*)?\n)*(?=\S|    \$|\Z)",
                lambda found: f"    $ {found[1]}\n{answer(found[1], shop.pid, folder)}\n",
                page,
            )
        finally:
            shop.kill()
            shop.wait()


def answer(command, pid, folder):
    words = shlex.split(command.replace(SHOWN_PID, str(pid)))
    words[0] = os.path.abspath(os.environ["LEAKSPY_BINARY"])
    ran = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.returncode == 0, f"{command}: {ran.stderr}"
    # What it tells a person on standard error is part of the answer where there is nothing else.
    said = (ran.stdout or ran.stderr).replace(str(pid), SHOWN_PID)
    for here, shown in (
        (f"{os.path.basename(folder)}/", ""),
        (os.path.realpath(sys.executable), "/usr/bin/python3.12"),
        (f" on {socket.gethostname()}:", " on web-1:"),
    ):
        said = said.replace(here, shown)
    return "".join(f"    {line}".rstrip() + "\n" for line in said.splitlines())


def words_of(page):
    """The lines of a page without what differs each time: figures and addresses."""
    page = re.sub(r"0x[0-9a-f]+|[0-9][0-9.,:%-]*( ?(B|KiB|MiB|ms|s|UTC|%))?\b", "#", page)
    return [re.sub(r"[\s#%]+", " ", line).strip() for line in page.splitlines() if line.strip()]


def every_session_goes_as_shown():
    path = ROOT / "docs" / "sessions.md"
    page = path.read_text()
    if os.environ.get("BLESS"):
        path.write_text(answers(page))
        return
    # A thread may be somewhere else for once.
    for _ in range(3):
        differ = list(difflib.unified_diff(words_of(page), words_of(answers(page)), lineterm="", n=0))
        if not differ:
            return
    raise AssertionError("\n".join(differ))


def every_link_leads_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in link:
                continue
            name, _, heading = link.partition("#")
            target = (page.parent / name) if name else page
            assert target.exists(), f"{page.name}: {link}"
            if heading:
                headings = re.findall(r"(?m)^#+ (.*)$", target.read_text())
                assert heading in map(fragment, headings), f"{page.name}: {link}"


def every_page_is_in_the_table_of_contents():
    summary = (ROOT / "docs" / "SUMMARY.md").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "SUMMARY.md" or f"({page.name})" in summary, page.name


def every_explained_text_is_one_that_leakspy_prints():
    advice = (ROOT / "src/cli/errors/advice.rs").read_text()
    advice = re.sub(r"\\\n\s*", "", advice)
    texts = re.findall(r"(?m)^\| `([^`]+)`", (ROOT / "docs" / "troubleshooting.md").read_text())
    assert len(texts) > 10, texts
    for text in texts:
        for piece in text.split("…"):
            assert piece.strip() in advice, f"leakspy does not say {piece!r}"


for check in (
    every_command_is_one_that_leakspy_takes,
    every_session_goes_as_shown,
    every_link_leads_somewhere,
    every_page_is_in_the_table_of_contents,
    every_explained_text_is_one_that_leakspy_prints,
):
    check()
print("ok")
