"""What a console weighs, and how soon its queue can be used, before there is a map: cold and warm.

A real web process on the embedded database with 1,000 units and 40 open calls; a Chromium that is signed in
opens the console with an empty cache (cold) and, once its map stands and that page is closed, in a new one
(warm). `queue_usable_ms`: from the beginning of the navigation to the first frame in which the queue's rows
are drawn. Peer of the times: in the same browser and run, a bare page of the same server that fetches the
same two lists and writes their lines. `console_js_gz_kb` is everything the page needs to stand, with the
map's part and one language, without the map library; beside it its limit.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import BenchError, Figure
from bench.perceived import chromium, sign_in, station
from config import ROOT

UNITS, INCIDENTS = 1_000, 40
LIMIT_KB = 120.0
ASSETS = ROOT / "app" / "static" / "console"

WATCH = """
(() => {
  const look = () => {
    if (window.usable_ms !== undefined) return;
    if (!document.querySelector('[data-testid="queue-row"], li.row')) return;
    window.usable_ms = null;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => {
        window.usable_ms = performance.now();
        window.had_map = document.querySelector('[data-testid="map"][data-ready="true"]') !== null;
      };
      after.port2.postMessage(null);
    });
  };
  new MutationObserver(look).observe(document, {childList: true, subtree: true});
})()
"""

BARE = """<!doctype html><title>bare</title><ul></ul><script>
const list = (path) => fetch('/api/v1/' + path).then((r) => r.json());
Promise.all([list('incidents?limit=500'), list('units?limit=1000')])
  .then((lists) => document.querySelector('ul').append(...lists.flat().map((row) => {
    const line = document.createElement('li');
    line.className = 'row';
    line.textContent = `${row.number ?? row.id} ${row.type} ${row.address ?? row.status}`;
    return line;
  })));
</script>"""


def started_with() -> list[Path]:
    """The programs a console starts with, as the built page and they themselves name them."""
    assets = ASSETS / "assets"
    wanted = re.findall(r'src="[^"]*/([\w.-]+\.js)"', (ASSETS / "index.html").read_text(encoding="utf-8"))
    languages = [next(assets.glob(f"{language}-*.js")) for language in ("ro", "en")]
    wanted += [next(assets.glob("MapView-*.js")).name, max(languages, key=lambda p: p.stat().st_size).name]
    found: dict[str, Path] = {}
    while wanted:
        path = assets / wanted.pop()
        if path.name in found or path.name.startswith("maplibre"):
            continue
        found[path.name] = path
        wanted += re.findall(r'(?:from|import)"\./([\w.-]+\.js)"', path.read_text(encoding="utf-8"))
    return list(found.values())


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    rounds = 30 if full else 5
    with station(folder, city, UNITS, INCIDENTS) as place, chromium() as browser:
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for page_of in ("console", "bare"):
                for kind, took_ms in _opened(browser, place.url, page_of).items():
                    times.setdefault((page_of, kind), []).append(took_ms)
    packed = sum(len(gzip.compress(path.read_bytes(), 9)) for path in started_with()) / 1000
    figures = [Figure("console_js_gz_kb", packed, "kB", "the limit", LIMIT_KB)]
    beside = "a bare page that fetches and lists the same rows"
    for kind in ("cold", "warm"):
        ours, bare = (float(np.median(times[page_of, kind])) for page_of in ("console", "bare"))
        figures.append(Figure(f"queue_usable_{kind}_ms", ours, "ms", beside, bare))
    return figures


def _opened(browser: Any, url: str, page_of: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1600, "height": 900}, locale="en-GB")
    try:
        context.set_default_timeout(120_000)
        sign_in(context, url)
        context.add_init_script(WATCH)
        address = url if page_of == "console" else f"{url}/bare"
        took = {}
        for kind in ("cold", "warm"):
            page = context.new_page()
            if page_of == "bare":
                page.route("**/bare", lambda route: route.fulfill(body=BARE, content_type="text/html"))
            page.goto(address)
            page.wait_for_function("() => typeof window.usable_ms === 'number'")
            took[kind] = float(page.evaluate("() => window.usable_ms"))
            if page_of == "console":
                if page.evaluate("() => window.had_map"):
                    raise BenchError("the queue came after the map")
                page.wait_for_selector('[data-testid="map"][data-ready="true"]')
            page.close()
        return took
    finally:
        context.close()
