"""Where paintings go: the photos that were asked for, and the files of each, none in the way of another or of a photo.

A painting in a folder has its photo's name; ".png" is added where its format cannot be written (IMG_1.gif becomes
IMG_1.gif.png), and its own suffix once more where the name is taken by another photo's file, also in another case.
"""

from __future__ import annotations

import glob
import mimetypes
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import ImageError, OptionError, plural
from ..images.io import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, check_suffix, find_images, passed_over
from .flags import find_double

__all__ = ["SHEET", "STREAM", "Output", "Target", "check_kept", "find_targets"]

STREAM = "-"  # stdin as a photo, stdout as a painting
SHEET = "_sheet"  # the ending of contact sheets


@dataclass(frozen=True)
class Output:
    """What to write, and how.

    out: OUT as given.  stage: which one, the last by default.  overwrite: files may be replaced.  skip_existing: photos
    whose files all exist are left out.  strip: leave out EXIF data and color profiles.  json: print a line for each
    picture on stdout.
    """

    out: str | None = None
    stage: int | None = None
    overwrite: bool = False
    skip_existing: bool = False
    strip: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        if self.overwrite and self.skip_existing:
            raise OptionError("--overwrite replaces what exists, --skip-existing leaves it: choose one of them")
        if self.out == STREAM and self.json:
            raise OptionError("--json takes standard output, and so does -o -: give a file or folder as -o")
        if self.out == STREAM and self.skip_existing:
            raise OptionError("--skip-existing is for files, and -o - is none: leave it out")


@dataclass(frozen=True)
class Target:
    """A photo, and the files that it becomes: its painting first; none for stdout."""

    photo: str
    files: list[Path]

    @property
    def exists(self) -> bool:
        """Whether all files are there already."""
        return bool(self.files) and all(map(os.path.exists, self.files))


def find_targets(photos: Sequence[str], output: Output, endings: Sequence[str] = ()) -> tuple[list[Target], list[str]]:
    """Returns what each photo becomes, and notes on what was left out; folders keep their tree below OUT.

    photos: files, folders, patterns or "-"; one that is given twice is painted once.  output: its OUT is a file for one
    photo, a folder, or "-".  endings: of the files beside a painting, such as "_stage-0".

    Raises OptionError and ImageError where there are no photos, where OUT does not go with them, where a photo would
    be replaced, files exist that may not be, or a folder cannot be made.
    """
    if not photos or not output.out:
        raise OptionError("Say what to paint and where to: e2e-art infer PHOTO... -o OUT (--help lists all flags)")
    if "" in photos:
        raise OptionError("One of the photos has no name: leave '' out, or give a file, a folder or a pattern")
    found = _Found(photos, output.out)
    targets = _targets(found, output.out, endings)
    _check(targets, output)
    return targets, found.notes()


def _targets(found: _Found, out: str, endings: Sequence[str]) -> list[Target]:
    names = list(found.photos)
    what = "a folder" if len(names) == 1 else plural(len(names), "photo")
    alone = len(names) == 1 and not found.folders
    if out == STREAM:
        if not alone:
            raise OptionError(f"-o - writes one painting, not those of {what}: give a folder as -o")
        if endings:
            raise OptionError("--stages writes several files: give a file or folder as -o")
        return [Target(names[0], [])]
    if _is_folder(out, alone):
        return _in_folder(out, found.photos, endings)
    if not alone:
        raise OptionError(f"{out} is the name of one file, not of the paintings of {what}: give a folder as -o")
    painting = Path(out)
    try:
        check_suffix(painting)
    except ImageError as error:
        folder = "" if painting.exists() else f", or {out}{os.sep} for a folder"
        raise OptionError(f"{error}{folder}") from None
    return [Target(names[0], _with_endings(painting, endings, sheet_suffix=".jpg"))]


def check_kept(photos: Iterable[str], files: Iterable[Path], what: str = "one of the photos") -> None:
    """Raises OptionError where one of the files to write is one of the photos, by whatever path, link or case."""
    kept = {_identity(photo) for photo in photos} - {None}
    if replaced := next((file for file in files if _identity(file) in kept), None):
        fix = "choose another -o"
        raise OptionError(f"{replaced} is {what}, which --overwrite does not replace either: {fix}")


def _check(targets: Sequence[Target], output: Output) -> None:
    existing = [file for target in targets for file in target.files if os.path.exists(file)]
    check_kept((target.photo for target in targets if target.photo != STREAM), existing)
    if existing and not (output.overwrite or output.skip_existing):
        exist = "exists" if len(existing) == 1 else f"(and {len(existing) - 1} more) exist"
        ways = "add --skip-existing to go on, or --overwrite to replace, or choose another -o"
        raise OptionError(f"{existing[0]} {exist}: {ways}")
    for folder, file in {file.parent: file for target in targets for file in target.files}.items():
        while not os.path.lexists(folder):
            folder = folder.parent
        if not os.path.isdir(folder):
            raise OptionError(f"{file} cannot be written: {folder} is no folder: choose another -o")
        if not os.access(folder, os.W_OK):
            raise OptionError(f"{file} cannot be written: you may not write to {folder}: choose another -o")


class _Found:
    """The photos that were asked for, each with its name below OUT, and what was left out."""

    def __init__(self, photos: Sequence[str], out: str) -> None:
        self.photos: dict[str, str] = {}
        self.folders: set[Path] = set()  # those given
        self.others: Counter[str] = Counter()  # files that are no pictures, by suffix
        self.inside = 0  # pictures that lie in OUT
        self._out, self._known = out, set[str]()
        for photo in photos:
            if photo == STREAM:
                self._add([(photo, "stdin.png")])
            elif os.path.isdir(photo):
                self._add_folder(photo)
            elif os.path.exists(photo) or not glob.has_magic(photo):
                self._add([(photo, os.path.basename(photo))])
            else:
                self._add_pattern(photo)

    def notes(self) -> list[str]:
        """Returns what people should know of what was left out, a sentence each."""
        left = plural(self.inside, f"picture in {self._out} was", f"pictures in {self._out} were")
        return [note for note in (f"{left} left out: it is -o" * bool(self.inside), passed_over(self.others)) if note]

    def _add(self, photos: Iterable[tuple[str, str]]) -> None:
        """Adds photos with their names, those that are known already aside."""
        for path, name in photos:
            folder, own = os.path.split(path)
            if (whole := os.path.join(os.path.realpath(folder), own)) not in self._known:
                self._known.add(whole)
                self.photos[path] = name

    def _add_folder(self, folder: str) -> None:
        whole = Path(folder).resolve()
        if os.path.isdir(self._out) and os.path.samefile(folder, self._out):
            instead = os.path.join(self._out, "painted")
            raise OptionError(f"{self._out} is the folder of the photos: choose another -o, such as {instead}")
        if not self.folders.isdisjoint((whole, *whole.parents)):
            return  # it was searched with the folder that it lies in
        self.folders.add(whole)
        pictures, others = find_images(folder)
        self.others += others
        paths = self._outside(folder, list(map(str, pictures)))
        if not paths:
            notes = "".join(f"; {note}" for note in self.notes())
            raise ImageError(f"The folder {folder} holds no pictures: check the path{notes}")
        self._add((path, os.path.relpath(path, folder)) for path in paths)

    def _add_pattern(self, pattern: str) -> None:
        """Adds the pictures that match; where none is known as one by its suffix, all files."""
        matches = [path for path in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(path)]
        pictures = [path for path in matches if Path(path).suffix.lower() in IMAGE_SUFFIXES] or matches
        self.others.update(Path(path).suffix.lower() for path in set(matches) - set(pictures))
        folder = os.path.dirname(re.split(r"[*?[]", pattern)[0]) or os.curdir
        paths = self._outside(folder, pictures)
        if not paths:
            raise ImageError(f"No file matches '{pattern}': check the pattern")
        self._add((path, os.path.basename(path)) for path in paths)

    def _outside(self, folder: str, paths: list[str]) -> list[str]:
        """Returns what was found in a folder without what lies in OUT; all where the folder lies there itself."""

        @cache
        def lies_in_out(folder: str) -> bool:
            whole = Path(folder).resolve()
            return any(os.path.samefile(parent, self._out) for parent in (whole, *whole.parents))

        if not os.path.isdir(self._out) or lies_in_out(folder):
            return paths
        outside = [path for path in paths if not lies_in_out(os.path.dirname(path))]
        self.inside += len(paths) - len(outside)
        return outside


def _is_folder(out: str, alone: bool) -> bool:
    """Says whether OUT means a folder: it is one, or is no file and has no suffix that names a kind of file.

    For one photo any word does (painting.jqg is a slip), for several only a picture's or a clip's.
    """
    name = re.split(r"[/\\]" if os.altsep else "/", out)[-1]
    suffix = "." + name.rpartition(".")[2].lower() if "." in name else ""
    if os.path.exists(out):
        return os.path.isdir(out)
    if alone:
        return not re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix)
    kind = mimetypes.guess_type(f"name{suffix}")[0] or ""
    return suffix not in (*WRITABLE_SUFFIXES, *IMAGE_SUFFIXES) and not kind.startswith(("image/", "video/"))


def _in_folder(out: str, photos: Mapping[str, str], endings: Sequence[str]) -> list[Target]:
    """Returns the files of photos that have names below OUT."""
    if double := find_double(photos.values()):
        fix = "give their folder, which keeps its tree, or rename one"
        raise OptionError(f"Two photos would become {Path(out, double)}: {fix}")
    targets, taken = [], set[str]()
    for photo, name in photos.items():
        painting = Path(out, name if Path(name).suffix.lower() in WRITABLE_SUFFIXES else f"{name}.png")
        files = _with_endings(painting, endings)
        if not taken.isdisjoint(map(_caseless, files)):
            files = _with_endings(painting.with_name(painting.name + painting.suffix), endings)
        if again := next((file for file in files if _caseless(file) in taken), None):
            raise OptionError(f"Two pictures would become {again}: rename one of the photos")
        taken.update(map(_caseless, files))
        targets.append(Target(photo, files))
    return targets


def _with_endings(painting: Path, endings: Sequence[str], sheet_suffix: str = "") -> list[Path]:
    """Returns a painting, and the files beside it, which have its suffix; the sheet may have one of its own."""
    suffixes = [(ending == SHEET and sheet_suffix) or painting.suffix for ending in endings]
    return [painting, *(painting.with_name(painting.stem + "".join(end)) for end in zip(endings, suffixes))]


def _caseless(file: Path) -> str:
    """Returns a name as file systems compare it that know neither case nor ways to write an accent."""
    return unicodedata.normalize("NFC", str(file)).casefold()


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Returns what tells a file from all others, whatever path or link leads to it; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
