"""Hooks of the documentation's site: pages that lie in the repository's root belong to it too.

Links are written as they work in the repository, and are turned here into links between pages.
"""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
OUTSIDE = ("LICENSE",)


def on_files(files: Any, config: Any) -> Any:
    for name in (*ROOT_PAGES, *OUTSIDE):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    if page.file.src_uri in ROOT_PAGES:
        return markdown.replace("](docs/", "](")
    return markdown.replace("](../", "](")
