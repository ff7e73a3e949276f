"""Getting a published extract: its name, the download, and everything a network does to it."""

import email.utils
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gis import extracts
from gis.city import CityError, import_city
from gis.extracts import Extract, download, file_of, find_extract, known_extracts
from tests.gis.small_city import extract

TOWN = Extract("town", "BBBike", "https://download.bbbike.org/osm/bbbike/Town/Town.osm.pbf", None)


class Mirror(ThreadingHTTPServer):
    """A server of extracts that misbehaves as it is told: `moods` are taken one a request, the last stays."""

    daemon_threads = True

    def __init__(self, data):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.data, self.moods, self.asked = data, ["well"], []
        self.etag = '"first"'
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that lets go of what is no extract is no error."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Mirror

    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror = self.server
        mood = mirror.moods.pop(0) if len(mirror.moods) > 1 else mirror.moods[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        mirror.asked.append((self.path, headers))
        if mood.isdigit():
            self.answer(int(mood), {}, b"<html>no</html>")
            return
        if mood == "web page":
            page = b"<!DOCTYPE html><title>Wi-Fi login</title>"
            self.answer(200, {"Content-Type": "text/html; charset=utf-8"}, page)
            return
        if mood == "some bytes":
            self.answer(200, {"Content-Type": "application/octet-stream"}, b"PK\x03\x04" * 100)
            return
        if mirror.etag and headers.get("if-none-match") == mirror.etag:
            self.answer(304, {}, b"")
            return
        start, body = 0, mirror.data
        said = {"Content-Type": "application/octet-stream"}
        if mirror.etag:
            said["ETag" if mirror.etag.startswith('"') else "Last-Modified"] = mirror.etag
        same = headers.get("if-range") == mirror.etag
        if "range" in headers and same and mood != "no ranges":
            start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
            said["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            if mood == "wrong place":
                said["Content-Range"] = f"bytes 0-{len(body) - 1}/{len(body)}"
        if mood == "cut":
            # half of what is left, and the connection breaks
            self.answer(206 if start else 200, said, body[start:], send=(len(body) - start) // 2)
            return
        self.answer(206 if "Content-Range" in said else 200, said, body[start:])

    def answer(self, status, headers, body, send=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body if send is None else body[:send])
        if send is not None:
            self.close_connection = True


@pytest.fixture
def mirror():
    server = Mirror(extract("helsinki").read_bytes())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def get(mirror, folder, received=lambda done, total: None, what=TOWN):
    """A download that does not wait between its attempts."""
    return download(what, folder, received, mirror=mirror.url, pause=lambda seconds: None)


def test_a_download_comes_whole_and_can_be_imported(mirror, tmp_path):
    seen = []
    file = get(mirror, tmp_path, lambda done, total: seen.append((done, total)))
    assert file == file_of(TOWN, tmp_path)
    assert file.read_bytes() == mirror.data
    # progress went from nothing to all, and said of how much
    assert seen[0] == (0, len(mirror.data))
    assert seen[-1] == (len(mirror.data), len(mirror.data))
    # the mirror was asked for the publisher's own path
    assert mirror.asked[0][0] == "/osm/bbbike/Town/Town.osm.pbf"
    assert import_city(file, tmp_path / "cities", "town").counts["streets"] > 50
    assert not list(tmp_path.glob("*.part"))


def test_a_connection_that_breaks_is_continued_where_it_broke(mirror, tmp_path):
    mirror.moods = ["cut", "cut", "well"]
    file = get(mirror, tmp_path)
    assert file.read_bytes() == mirror.data
    half = len(mirror.data) // 2
    asked = [headers.get("range") for _, headers in mirror.asked]
    assert asked == [None, f"bytes={half}-", f"bytes={half + (len(mirror.data) - half) // 2}-"]


def test_a_download_that_was_given_up_is_continued_by_the_next_command(mirror, tmp_path):
    # given a line that breaks again and again
    mirror.moods = ["cut"]
    with pytest.raises(CityError, match="cut off") as refused:
        get(mirror, tmp_path)
    assert "it goes on from there" in refused.value.remedy
    assert len(mirror.asked) == extracts.ATTEMPTS
    # then nothing has the name of the extract, and what came is kept
    assert not file_of(TOWN, tmp_path).exists()
    kept = (tmp_path / "town.osm.pbf.part").stat().st_size
    assert 0 < kept < len(mirror.data)
    # when the command is given again, only the rest is fetched
    mirror.moods, mirror.asked = ["well"], []
    assert get(mirror, tmp_path).read_bytes() == mirror.data
    assert [headers["range"] for _, headers in mirror.asked] == [f"bytes={kept}-"]


@pytest.mark.parametrize("change", ["new file", "no ranges", "no validator", "wrong place"])
def test_halves_of_two_files_are_never_put_together(mirror, tmp_path, change):
    mirror.etag = "" if change == "no validator" else mirror.etag
    mirror.moods = ["cut"]
    with pytest.raises(CityError):
        get(mirror, tmp_path)
    if change == "new file":
        mirror.data, mirror.etag = mirror.data[::-1], '"second"'
        mirror.data = b"\x00\x00\x00\x0d\n\tOSMHeader" + mirror.data
    mirror.moods = [change if change in ("no ranges", "wrong place") else "well"]
    if change == "wrong place":
        mirror.moods = ["wrong place", "well"]
    assert get(mirror, tmp_path).read_bytes() == mirror.data


def test_what_is_there_already_is_fetched_again_only_when_it_is_newer(mirror, tmp_path):
    get(mirror, tmp_path)
    mirror.asked = []
    get(mirror, tmp_path)
    assert [headers.get("if-none-match") for _, headers in mirror.asked] == ['"first"']
    mirror.data, mirror.etag = mirror.data + b"more", '"second"'
    assert get(mirror, tmp_path).read_bytes() == mirror.data


@pytest.mark.parametrize(
    ("mood", "words", "remedy"),
    [
        ("404", "has no such extract any more", "new place"),
        ("410", "has no such extract any more", "new place"),
        ("403", "refuses: 403", "Try again later"),
        ("503", "refuses: 503", "Try again later"),
        ("web page", "a web page perhaps", "login"),
        ("some bytes", "no extract", "login"),
    ],
)
def test_what_is_no_extract_is_refused_in_plain_words_and_nothing_is_kept(
    mirror, tmp_path, mood, words, remedy
):
    mirror.moods = [mood]
    with pytest.raises(CityError) as refused:
        get(mirror, tmp_path)
    assert words in refused.value.message
    assert remedy in refused.value.remedy
    assert not list(tmp_path.glob("*.osm.pbf*")) or [p.name for p in tmp_path.iterdir()] == [
        "town.osm.pbf.json"
    ]
    # a server that is overloaded is asked again, one that says no is not
    assert len(mirror.asked) == (extracts.ATTEMPTS if mood == "503" else 1)
    # and a download that was there before stays
    mirror.moods = ["well"]
    file = get(mirror, tmp_path)
    mirror.moods, mirror.etag = [mood], '"other"'
    with pytest.raises(CityError):
        get(mirror, tmp_path)
    assert file.read_bytes() == mirror.data


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_without_a_network_it_says_so_and_what_to_do(tmp_path, url, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CityError, match="There is no network, or") as refused:
        download(TOWN, tmp_path, mirror=url, pause=lambda seconds: None)
    assert "Connect this computer to the Internet" in refused.value.remedy
    assert "straja city import FILE" in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_country_is_refused_before_anything_is_fetched(mirror, tmp_path, monkeypatch):
    with pytest.raises(CityError, match="this is a country"):
        get(mirror, tmp_path, what=Extract("europe/germany", "Geofabrik", TOWN.url, 4_000_000_000))
    assert mirror.asked == []
    # also when only the server knows how large it is
    monkeypatch.setattr(extracts, "SOURCE_BYTES_MAX", 1000)
    with pytest.raises(CityError, match="this is a country"):
        get(mirror, tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_too_little_disk_is_said_before_it_is_filled(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(extracts, "SPARE_BYTES", 10**18)
    with pytest.raises(CityError, match=r"only .* are free"):
        get(mirror, tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_the_lists_know_cities_and_regions_by_how_people_write_them():
    extract("helsinki")
    assert len(known_extracts()) > 700
    porto = find_extract("Porto")
    assert (porto.publisher, porto.url) == (
        "BBBike",
        "https://download.bbbike.org/osm/bbbike/Porto/Porto.osm.pbf",
    )
    for asked in ("buenos aires", "Buenos-Aires", "buenos_aires", "BuenosAires"):
        assert find_extract(asked).name == "buenos-aires"
    assert find_extract("liechtenstein") == find_extract("europe/Liechtenstein")
    assert find_extract("România").url == "https://download.geofabrik.de/europe/romania-latest.osm.pbf"
    assert find_extract("us/georgia") != find_extract("europe/georgia")


def test_a_name_that_means_two_places_is_refused_with_the_words_to_type():
    extract("helsinki")
    with pytest.raises(CityError, match="is the name of 2 extracts") as refused:
        find_extract("georgia")
    assert "straja city get europe/georgia" in refused.value.remedy
    assert "straja city get us/georgia" in refused.value.remedy
    with pytest.raises(CityError) as refused:
        find_extract("Berlin")
    assert "straja city get bbbike/berlin (the city, from BBBike)" in refused.value.remedy
    assert "straja city get germany/berlin (the region, from Geofabrik, " in refused.value.remedy
    assert find_extract("bbbike/berlin").publisher == "BBBike"
    assert find_extract("germany/berlin").publisher == "Geofabrik"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("lichtenstein", "europe/liechtenstein"), ("hamburgg", "hamburg"), ("dresdn", "dresden")],
)
def test_a_slip_gets_suggestions(asked, meant):
    extract("helsinki")
    with pytest.raises(CityError, match="publishes an extract called") as refused:
        find_extract(asked)
    assert meant in refused.value.remedy


@pytest.mark.parametrize("asked", ["", "/", "x/y/z", "Brașov", "../../etc/passwd", "%00", "a" * 500])
def test_a_name_that_is_on_no_list_says_how_to_come_by_a_town(asked):
    extract("helsinki")
    with pytest.raises(CityError) as refused:
        find_extract(asked)
    assert "osmium extract --bbox" in refused.value.remedy


def test_a_damaged_list_is_named(tmp_path, monkeypatch):
    (tmp_path / "bbbike_index.geojson.gz").write_bytes(b"no gzip")
    monkeypatch.setattr(extracts, "pyrosm_data", lambda: tmp_path)
    with pytest.raises(CityError, match="BBBike's extracts cannot be read"):
        known_extracts()


def test_last_modified_serves_where_there_is_no_etag(mirror, tmp_path):
    # (a server that gives neither is asked for all of it each time; see the halves above)
    mirror.etag = email.utils.formatdate(1_700_000_000, usegmt=True)
    mirror.moods = ["cut", "well"]
    assert get(mirror, tmp_path).read_bytes() == mirror.data
    assert mirror.asked[1][1]["if-range"] == mirror.etag
