"""Whether somebody else than root could change what root runs, on a file system made of a dictionary."""

from __future__ import annotations

import os
import stat

import pytest

from fastha.scripts.safety import violation

D, F, L = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
TREE: dict[str, tuple[int, int, str]] = {  # path: (mode, owner, target)
    "/": (D | 0o755, 0, ""),
    "/usr": (D | 0o755, 0, ""),
    "/usr/bin": (D | 0o755, 0, ""),
    "/usr/bin/check": (F | 0o755, 0, ""),
    "/usr/bin/loose": (F | 0o775, 0, ""),
    "/usr/bin/theirs": (F | 0o755, 1000, ""),
    "/bin": (L | 0o777, 0, "usr/bin"),
    "/home": (D | 0o755, 0, ""),
    "/home/joe": (D | 0o700, 1000, ""),
    "/home/joe/check": (F | 0o755, 0, ""),
    "/tmp": (D | 0o1777, 0, ""),
    "/tmp/check": (F | 0o755, 0, ""),
    "/opt": (D | 0o755, 0, ""),
    "/opt/check": (L | 0o777, 0, "../home/joe/check"),
    "/opt/theirs": (L | 0o777, 1000, "/usr/bin/check"),
    "/opt/good": (L | 0o777, 0, "/bin/./check"),
    "/opt/one": (L | 0o777, 0, "two"),
    "/opt/two": (L | 0o777, 0, "one"),
}


def lstat(path: str) -> os.stat_result:
    if path not in TREE:
        raise FileNotFoundError(2, "No such file or directory", path)
    mode, owner, _ = TREE[path]
    return os.stat_result((mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/usr/bin/check", ""),
        ("/bin/check", ""),  # keepalived refuses a link among the directories
        ("/opt/good", ""),
        ("/usr/bin/../bin/check", ""),
        ("/usr/bin/loose", "/usr/bin/loose is writable by its group"),
        ("/usr/bin/theirs", "/usr/bin/theirs belongs to uid 1000"),
        ("/home/joe/check", "/home/joe belongs to uid 1000"),
        ("/opt/check", "/home/joe belongs to uid 1000"),
        ("/opt/theirs", "/opt/theirs belongs to uid 1000"),
        ("/tmp/check", "/tmp is writable by others"),
    ],
)
def test_violations(path: str, why: str) -> None:
    assert violation(path, lstat, lambda p: TREE[p][2]) == why


def test_a_loop_of_links_ends() -> None:
    assert violation("/opt/one", lstat, lambda p: TREE[p][2]).endswith("is a loop of links")


def test_what_is_missing_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        violation("/usr/bin/none", lstat, lambda p: TREE[p][2])
