"""The replaced product's export as an XML document; some elements are in namespaces, so local names count.

<Configuration><Connectors><Connector>
  <ConnectorConfig><Parameters><Parameter><Name/><Type/><Use/><Encrypted/><Value/>…
                   <RunConfigurations><RunConfiguration><Name/><RunSteps><RunStep>…<Parameters>…
  <Schema><EntriesSchema><EntrySchema><SchemaAttributes><AttributeSchema><Name/><IsAnchor/>…
  <ECMAConfig><ProfileName/>…          <Setting><Port/><Certificate/>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from connector_host.errors import ConfigurationError
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OFF: Final = frozenset({"", "0", "false", "none"})
_SHOWN_CHARS: Final = 60
_SECRET: Final = re.compile(r"(pwd|password|passwd|secret|token)\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a connector, or of one of its runs, that says something."""

    name: str
    value: str
    run: str = ""
    """The run that it belongs to, as `Export`, `FullImport`, `DeltaImport`; empty for the connector's own."""
    encrypted: bool = False

    @property
    def key(self) -> str:
        """Return the name in lower case, without object type in front (`User:Table/View/SP`) and page behind."""
        bare = self.name.rpartition(":")[2].strip().lower()
        return next((bare.removesuffix(page) for page in _PAGES if bare.endswith(page)), bare)

    @property
    def says(self) -> bool:
        """Return whether the value says something; a box that is not ticked, and `None`, do not."""
        return self.value.lower() not in _OFF

    def __str__(self) -> str:
        """Return run, name and value for a note."""
        text = self.shown
        cut = text[:_SHOWN_CHARS] + "…" * (len(text) > _SHOWN_CHARS)
        return f"{self.run + ' ' if self.run else ''}{self.name} = {cut}"

    @property
    def shown(self) -> str:
        """Return the value on one line; what is, or may hold, a secret is never shown."""
        if self.encrypted or _SECRET.search(f"{self.key}={self.value}"):
            return "(withheld)"
        return " ".join(self.value.split())


_PAGES: Final = ("_global", "_partition", "_runstep")


def parse(path: Path) -> ET.Element:
    """Return the document's root; raises ConfigurationError where the file is no export."""
    try:
        content = read_small(path)
    except OSError as failure:
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}).") from failure
    # No export has a document type; one that has is after entities, and is not parsed at all.
    if b"<!" in content.replace(b"\0", b"").replace(b"<!--", b""):
        raise ConfigurationError(f"{path}: is no export of the configuration wizard.")
    try:
        return ET.fromstring(content)  # noqa: S314 - without a document type there are no entities to expand
    except ET.ParseError as failure:
        raise ConfigurationError(f"{path}: is no readable XML ({failure}).") from failure


def parameters(connector: ET.Element) -> Iterator[Parameter]:
    """Yield every setting that says something."""
    runs = all_of(connector, "RunConfiguration")
    of_runs = {id(element): text_of(run, "Name") for run in runs for element in all_of(run, "Parameter")}
    for element in all_of(connector, "Parameter"):
        parameter = Parameter(
            text_of(element, "Name"),
            text_of(element, "Value"),
            of_runs.get(id(element), ""),
            encrypted=is_true(element, "Encrypted") or text_of(element, "Type") == "EncryptedString",
        )
        if parameter.name and parameter.says:
            yield parameter


def all_of(element: ET.Element, name: str) -> list[ET.Element]:
    """Return every element of this name, however deep."""
    return [found for found in element.iter() if local(found) == name]


def local(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: ET.Element, name: str) -> str:
    """Return the text of the first element of this name, or the attribute of this name, or nothing."""
    found = next(iter(all_of(element, name)), None)
    return (found.text or "").strip() if found is not None else element.get(name, "").strip()


def is_true(element: ET.Element, name: str) -> bool:
    """Return whether the element of this name says so."""
    return text_of(element, name).lower() in {"true", "1"}
