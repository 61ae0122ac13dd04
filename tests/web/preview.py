"""Takes a picture of every page, into var/screenshots: ``python -m tests.web.preview [--language ar] [page …]``."""

import argparse
import tempfile
from pathlib import Path

from tests.servers.chromium import running_chromium
from tests.web.gallery import PAGES, Gallery
from tests.web.gallery.wall import Wall

FOLDER = Path("var/screenshots")
SIZES = {"phone": (360, 740), "desktop": (1280, 800)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pages", nargs="*", metavar="page", help="of the gallery; all of them without any")
    arguments.add_argument("--language", default="en", help="what the browser prefers")
    asked = arguments.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_chromium() as chromium:
        gallery, wall = Gallery(Path(folder), asked.language), Wall(chromium)
        for name in asked.pages or PAGES:
            wall.hang(PAGES[name](gallery), *SIZES["phone"])
            for size, (width, height) in SIZES.items():
                for dark in (False, True):
                    wall.turn(width, height, dark=dark)
                    colors = "dark" if dark else "light"
                    picture = FOLDER / f"{name}-{asked.language}-{size}-{colors}.png"
                    wall.window.screenshot(path=picture, full_page=True)
        wall.close()
        gallery.close()


if __name__ == "__main__":
    main()
