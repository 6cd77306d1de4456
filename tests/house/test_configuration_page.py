"""Every setting is explained where it is declared, and the page that administrators read says the same."""

from pathlib import Path

from connector_host.mistakes import _model_at
from connector_host.settings import Configuration
from connector_host.setup.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def models(model, seen):
    seen.add(model)
    for field in model.model_fields.values():
        inner = _model_at(field.annotation, ()) or _model_at(field.annotation, ("NAME",))
        if inner is not None and inner not in seen:
            models(inner, seen)
    return seen


def test_every_setting_says_what_it_does():
    silent = [
        f"{model.__name__}.{name}"
        for model in models(Configuration, set())
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == []
    assert len(models(Configuration, set())) > 5


def test_the_page_is_what_the_program_says():
    told = "Write it anew: connector-host config reference > docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), told
