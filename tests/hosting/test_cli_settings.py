"""Which hub and which app a command uses, and what is said when that cannot be found out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_program import load_app
from durio.hosting.cli_settings import Common, Settings, settings_of
from tests.hosting.cli_program import APP, app


def test_options_come_before_the_environment_before_the_configuration(tmp_path: Path) -> None:
    """`--hub`, else DURIO_HUB, else the configuration; each setting by itself."""
    (tmp_path / "pyproject.toml").write_text('[tool.durio]\nhub = "data"\napp = "m:a"\n')
    place, start = str(tmp_path), str(tmp_path / "inner" / "most")
    environ = {"DURIO_HUB": "from-environment"}
    assert settings_of(Common(), {}, start) == Settings(str(tmp_path / "data"), "m:a", place)
    assert settings_of(Common(), environ, start) == Settings("from-environment", "m:a", place)
    assert settings_of(Common(hub="given"), environ, start) == Settings("given", "m:a", place)
    assert settings_of(Common(app="b:c"), {"DURIO_APP": "d:e"}, start) == Settings(str(tmp_path / "data"), "b:c", start)
    assert settings_of(Common(), {"DURIO_APP": "d:e"}, start).app == "d:e"


def test_the_nearest_configuration_counts(tmp_path: Path) -> None:
    """durio.toml before pyproject.toml; a pyproject.toml without [tool.durio] is passed over."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "durio.toml").write_text('hub = "/far/away"\n')
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert settings_of(Common(), {}, str(inner)).hub == "/far/away"
    (inner / "pyproject.toml").write_text('[tool.durio]\nhub = "near"\n')
    assert settings_of(Common(), {}, str(inner)) == Settings(str(inner / "near"), None, str(inner))
    (inner / "durio.toml").write_text('hub = "nearer"\n')
    assert settings_of(Common(), {}, str(inner)).hub == str(inner / "nearer")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hub = ", "cannot be read"),
        ("hubs = 'x'", "no setting 'hubs'"),
        ("hub = 3", "hub is text"),
        ("app = ''", "app is text"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, told: str) -> None:
    """The error names the file and the setting."""
    (tmp_path / "durio.toml").write_text(text)
    with pytest.raises(UsageError, match=f"durio.toml.*{told}"):
        settings_of(Common(), {}, str(tmp_path))


def test_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    """Without a hub or an app the error names all three ways to say it."""
    settings = Settings(None, None, str(tmp_path))
    with pytest.raises(UsageError, match=r"--hub DIR.*DURIO_HUB.*tool.durio"):
        settings.require_hub()
    with pytest.raises(UsageError, match=r"--app MODULE:APP.*DURIO_APP.*tool.durio"):
        settings.require_app()


def test_an_app_is_found_by_name(tmp_path: Path) -> None:
    """`MODULE:APP`, and `MODULE` for its `app`."""
    for named in (APP, APP.partition(":")[0]):
        assert load_app(Settings(None, named, str(tmp_path))) is app


PROGRAMS = {
    "durio_test_name": ("x = 1\n\ndef f():\n    return nme\n\nf()\n", r"durio_test_name.py:4: NameError: name 'nme'"),
    "durio_test_syntax": ("x = 1\ndef (:\n", r"durio_test_syntax.py:2: SyntaxError"),
    "durio_test_library": ("import json\njson.loads('x')\n", r"durio_test_library.py:2: json.*JSONDecodeError"),
    "durio_test_missing": ("\nimport durio_test_nowhere\n", r"durio_test_missing.py:2: ModuleNotFoundError.*nowhere"),
    "durio_test_exit": ("import sys\nsys.exit(3)\n", r"durio_test_exit.py:2: SystemExit"),
    "durio_test_none": ("app = 3\n", r"'durio_test_none'; it has none"),
    "durio_test_other": (
        "from durio.orchestration import App\nmine = App()\n",
        r"app is no App of module 'durio_test_other'; it has durio_test_other:mine",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_app_that_cannot_be_imported_shows_the_users_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line: the file, the line and the user's own error, also if it was raised in a library."""
    program, told = PROGRAMS[name]
    (tmp_path / f"{name}.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(UsageError, match=told) as caught:
        load_app(Settings(None, name, str(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("named", ["app.py:app", "./app", ".app", "", "durio_test_gone", "durio_test_gone.sub:app"])
def test_a_module_that_is_none_is_named(named: str, tmp_path: Path) -> None:
    """A file instead of a module, or a module that is not there."""
    with pytest.raises(UsageError, match=r"a module as Python imports it|there is no module 'durio_test_gone'"):
        load_app(Settings(None, named, str(tmp_path)))
