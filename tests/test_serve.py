"""The page's files and the server that gives them out: all that it must, and nothing else."""

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers import AUTOENCODER, ROOT, assert_one_sentence, tiny_anystyle, tiny_multistyle, tiny_upscaler

from e2e_art.commands.main import main
from e2e_art.commands.serve import page_models
from e2e_art.errors import OptionError, UserError
from e2e_art.models import folder as folder_module
from e2e_art.models.folder import ModelError, read_model, write_model
from e2e_art.painting import enlarge
from e2e_art.web import site as site_module
from e2e_art.web.server import make_server
from e2e_art.web.site import ENGINE, HEADERS, PAGES, site, write_site


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """The page, with files of no worth where `make web` puts the painting engine."""
    folder = tmp_path / "web"
    shutil.copytree(site_module.FOLDER, folder, ignore=shutil.ignore_patterns("vendor"))
    for name in ENGINE:
        (folder / "vendor").mkdir(exist_ok=True)
        (folder / "vendor" / name).write_bytes(name.encode())
    monkeypatch.setattr(site_module, "FOLDER", folder)
    return folder


@pytest.fixture
def ask(engine, published):
    """Asks a running server for a path; returns the response and its content."""
    server = make_server(site([read_model(published)]))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def request(path: str, method: str = "GET"):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    yield request
    server.shutdown()
    server.server_close()


# The table


def test_a_site_lists_page_engine_and_styles(engine, published):
    model = read_model(published)
    files = site([model])
    (style,) = json.loads(files["styles.json"])
    assert style["title"] == "Small Model" and style["stages"] == 2
    assert {"index.html", "vendor/ort.wasm.min.mjs", f"{style['folder']}/{style['graph']}"} <= set(files)
    beside = [Path(files[f"styles/small_model/{name}"]) for name in (style["graph"], *style["files"])]
    assert style["bytes_in_all"] == sum(path.stat().st_size for path in beside)
    assert "styles/small_model/model.json" not in files  # the page has no use for it
    assert set(PAGES) <= {path.name for path in engine.iterdir()}


def test_a_site_lists_the_styles_of_a_network_of_several(engine, published, tmp_path):
    files = site([read_model(published), read_model(tiny_multistyle(tmp_path / "museum"))])
    single, several = json.loads(files["styles.json"])
    assert "styles" not in single
    assert (several["title"], several["graph"]) == ("Museum", "model.onnx")
    assert several["styles"] == [
        {"name": "waves", "title": "Waves", "thumbnail": "style-0.jpg"},
        {"name": "the_scream", "title": "The Scream", "thumbnail": "style-1.jpg"},
        {"name": "udnie", "title": "Udnie"},
    ]
    folder = f"{several['folder']}/"
    shown = {name[len(folder) :] for name in files if name.startswith(folder)}
    assert shown == {several["graph"], *several["files"], "style-0.jpg", "style-1.jpg"}


def test_a_site_lists_the_model_of_any_style_with_what_describes_paintings(engine, published, tmp_path):
    files = site([read_model(published), read_model(tiny_anystyle(tmp_path / "any"))])
    single, any_style = json.loads(files["styles.json"])
    assert "describe" not in single
    assert (any_style["name"], any_style["graph"], any_style["describe"]) == ("any", "model.onnx", "describe.onnx")
    folder = f"{any_style['folder']}/"
    given = {name[len(folder) :]: file for name, file in files.items() if name.startswith(folder)}
    assert given.keys() == {"model.onnx", "describe.onnx", *any_style["files"]}
    assert any_style["bytes_in_all"] == sum(file.stat().st_size for file in given.values())


def test_what_the_page_has_no_use_for_is_refused_with_its_use(engine, tmp_path):
    from e2e_art.engines.gluon import cpu
    from e2e_art.models.publish import publish
    from e2e_art.networks.autoencoder import Autoencoder

    student = Autoencoder(AUTOENCODER)
    student.draw_weights(1, [cpu()])
    publish(student, tmp_path / "wct", {"command": "", "photos": 1, "seconds": 1})
    uses = {tmp_path / "wct": "infer PHOTO --style PAINTING --method ost --model wct", "brick": "infer --texture brick"}
    for name, use in uses.items():
        with pytest.raises(OptionError) as refused:
            page_models(["starry_night", str(name)])
        assert str(refused.value).endswith(f": leave it out, or use it as e2e-art {use}")


def test_a_page_takes_paintings_for_one_model(engine, published, tmp_path):
    any_style = tiny_anystyle(tmp_path / "any")
    model = read_model(any_style)
    contents = {name: model.path(name).read_bytes() for name in model.files}
    write_model(tmp_path / "other", "anystyle", model.stages, model.record, contents)
    assert [each.name for each in page_models([str(any_style)])] == ["any"]
    with pytest.raises(OptionError, match="takes paintings for one model, not for any and other: name one of them"):
        page_models([str(any_style), str(tmp_path / "other")])


def test_a_site_lists_upscalers_apart(engine, published, tmp_path):
    files = site([read_model(published), read_model(tiny_upscaler(tmp_path / "painted_x2", factor=2))])
    (upscaler,) = json.loads(files["upscalers.json"])
    assert (upscaler["name"], upscaler["factor"], upscaler["overlap"]) == ("painted_x2", 2, 6)
    assert {f"{upscaler['folder']}/{name}" for name in (upscaler["graph"], *upscaler["files"])} <= set(files)
    assert upscaler["files"] == ["stage-0.safetensors", "stage-1.safetensors"]  # which the page mixes
    assert [style["name"] for style in json.loads(files["styles.json"])] == ["small_model"]


def test_the_page_takes_the_upscalers_that_infer_takes_for_paintings(engine, published, tmp_path, monkeypatch):
    for module in (folder_module, enlarge):
        monkeypatch.setattr(module, "pretrained_folder", lambda: tmp_path / "pretrained")
    shutil.copytree(published, tmp_path / "pretrained" / "small_model")
    for name, factor in (("photo_x4", 4), ("photo_x2", 2), ("painted_x2", 2)):
        tiny_upscaler(tmp_path / "pretrained" / "upscalers" / name, factor, stages=1)
    upscalers = json.loads(site(page_models([]))["upscalers.json"])
    for factor, name in ((2, "painted_x2"), (4, "photo_x4")):
        first, *_ = (upscaler["name"] for upscaler in upscalers if upscaler["factor"] == factor)
        assert [first] == enlarge.find_upscalers(factor, enlarge.OF_PAINTINGS) == [name]


def test_the_page_names_no_other_host_and_holds_no_script_or_style_of_its_own():
    for name in PAGES:
        text = (site_module.FOLDER / name).read_text(encoding="utf-8")
        links = [word for word in text.replace('"', " ").split() if word.startswith(("http:", "https:", "//cdn"))]
        assert not [link for link in links if "www.w3.org" not in link], name
    page = (site_module.FOLDER / "index.html").read_text(encoding="utf-8")
    assert "<style" not in page and " style=" not in page and " onclick=" not in page
    meta = page.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
    header = HEADERS["Content-Security-Policy"]
    assert header == f"{meta}; frame-ancestors 'none'"  # the one directive that a page cannot give itself


def test_without_the_engine_one_sentence_says_how_to_get_it(engine, published):
    (engine / "vendor" / ENGINE[2]).unlink()
    with pytest.raises(UserError, match="painting engine is not in .*vendor: run 'make web'"):
        site([read_model(published)])


def test_make_fetches_all_of_the_engine():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").split()
    assert set(ENGINE) <= set(makefile)


def test_make_web_starts_the_page():
    printed = subprocess.run(["make", "-n", "--no-print-directory", "web"], cwd=ROOT, capture_output=True, text=True)
    _, *words = printed.stdout.splitlines()[-1].split()  # that python, without starting to serve
    helped = subprocess.run([sys.executable, *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert "usage: e2e-art serve" in helped.stdout


def test_a_static_folder_holds_the_same_files(engine, published, tmp_path):
    model, folder = read_model(published), tmp_path / "page"
    write_site(folder, [model])
    for name, file in site([model]).items():
        assert (folder / name).read_bytes() == (file if isinstance(file, bytes) else file.read_bytes()), name
    assert "Cross-Origin-Embedder-Policy: require-corp" in (folder / "_headers").read_text()
    with pytest.raises(UserError, match="exists: choose another folder, or add --overwrite"):
        write_site(folder, [model])
    (folder / "old").write_text("of a page written before")
    write_site(folder, [model], overwrite=True)
    assert not (folder / "old").exists()
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="photos exists"):  # no page, and not to be replaced
        write_site(tmp_path / "photos", [model], overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page", "photos", "web"]


# The server


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/?style=small_model", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/styles.json", "application/json"),
        ("/vendor/ort-wasm-simd-threaded.wasm", "application/wasm"),
        ("/vendor/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
        ("/styles/small_model/model.onnx", "application/octet-stream"),
        ("/styles/small%5Fmodel/stage-0.safetensors", "application/octet-stream"),
    ],
)
def test_what_there_is_comes_with_its_type_and_the_headers_that_threads_need(ask, path, kind):
    response, content = ask(path)
    assert response.status == 200 and content
    assert response.headers["Content-Type"] == kind
    assert int(response.headers["Content-Length"]) == len(content)
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    head, nothing = ask(path, "HEAD")
    assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(content)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/styles", "/styles/", "/vendor/", "/styles/small_model/", "/nothing", "/styles/other/model.onnx",
        "/../setup.cfg", "/styles/../../setup.cfg", "/%2e%2e/setup.cfg", "/..%2fsetup.cfg", "/styles/..%5c..%5cx",
        "//etc/passwd", "/%2fetc/passwd", "/etc/passwd", "/app.js/", "/app.js%00", "/APP.JS",
        "/styles/small_model/model.json",
        "/styles/small_model/../small_model/model.onnx", "/%",
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_not_found(ask, path):
    response, content = ask(path)
    assert response.status == 404
    assert b"[metadata]" not in content and b"root:" not in content
    assert response.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


def test_links_out_of_a_models_folder_are_not_followed(engine, published, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder = tmp_path / "linked"
    shutil.copytree(published, folder)
    (folder / "more.txt").symlink_to(secret)
    assert not [name for name in site([read_model(folder)]) if "more" in name]
    (folder / "stage-0.safetensors").unlink()
    (folder / "stage-0.safetensors").symlink_to(secret)
    with pytest.raises(ModelError, match=r"stage-0\.safetensors is missing or unreadable .it is a link to elsewhere"):
        read_model(folder)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(ask, method):
    response, _ = ask("/app.js", method)
    assert response.status == 501


def test_names_with_odd_characters(engine, published, tmp_path):
    folder = tmp_path / "mein stil #1?"
    shutil.copytree(published, folder)
    description = json.loads((folder / "model.json").read_text())
    contents = {name: (published / name).read_bytes() for name in description["files"]}
    kept = {key: description[key] for key in ("kind", "stages", "record")}
    model = write_model(folder, files=contents, overwrite=True, **kept)
    (style,) = json.loads(site([model])["styles.json"])
    server = make_server(site([model]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", f"/{style['folder']}/{quote(style['graph'])}")
    assert connection.getresponse().status == 200
    connection.close()
    server.shutdown()
    server.server_close()


def test_a_port_that_is_taken_and_a_host_that_is_not_ours():
    server = make_server({})
    for host, port in (("127.0.0.1", server.server_port), ("192.0.2.1", 0), ("127.0.0.1", 99999)):
        with pytest.raises(UserError, match=f"{host}:{port} cannot be served .*choose another --port or --host"):
            make_server({}, host, port)
    server.server_close()


# The command


def serve(*words) -> subprocess.Popen:
    command = [sys.executable, "-m", "e2e_art", "serve", "--no-browser", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not (site_module.FOLDER / "vendor" / ENGINE[0]).is_file(), reason="no painting engine for the page")
def test_serve_says_where_and_ends_by_ctrl_c(published):
    with serve("--port", 0, "--model", published, "starry_night") as process:
        try:
            line = process.stdout.readline()
            address = line.split(" at ")[1].split(" until ")[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}styles.json", timeout=60) as response:
                assert [style["name"] for style in json.load(response)] == ["small_model", "starry_night"]
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stdout.read() == "\nEnded.\n"
        finally:
            process.kill()


def test_serve_without_models_or_engine_says_so(engine, published, tmp_path, capsys):
    for words, says in (
        (["--model", "cubist"], "There is no model 'cubist'"),
        (["--model", tmp_path / "web"], "is no model"),
        (["--model", published, published], "Two models are called small_model: give each name once"),
        (["--model", published, "--host", "192.0.2.1"], "192.0.2.1:8742 cannot be served"),
    ):
        code = main(["serve", "--no-browser", *map(str, words)])
        assert_one_sentence(code, capsys.readouterr().err, says)
    (engine / "vendor" / ENGINE[0]).unlink()
    code = main(["serve", "--no-browser", "--model", str(published)])
    assert_one_sentence(code, capsys.readouterr().err, "run 'make web' in a checkout")
