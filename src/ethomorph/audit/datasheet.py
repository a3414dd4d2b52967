"""A datasheet and a Croissant file of a study's data: what the files say, and what nobody has written down yet.

Questions are those of Gebru et al. (2021, Communications of the ACM 64:86), shortened to what a lab can answer. Answers
are read from ``datasheet.toml`` beside ``study.toml``; what the files themselves say is filled in. Croissant is the
JSON-LD of MLCommons, version 1.0, which data repositories and search engines read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ethomorph.core.errors import StudyError
from ethomorph.core.files import sha256, write_json, write_text

ANSWERS = "datasheet.toml"
QUESTIONS = {
    "purpose": "For what purpose were the data recorded?",
    "creators": "Who recorded them, and who paid?",
    "species": "Which species, from where, wild or bred?",
    "animals": "How many animals, of which sex, age and origin?",
    "housing": "How were they kept, in which groups and at which density?",
    "recording": "With which camera, light, frame rate and resolution, and when?",
    "sampling": "How were the samples chosen from what was recorded: all, at random, by hand?",
    "labelling": "Who labelled, by which ethogram, how trained, and did two people label the same?",
    "preprocessing": "What was done to the data before: cuts, scaling, filters?",
    "ethics": "Under which permit?",
    "licence": "Under which licence may others use them?",
    "limits": "For what should they not be used?",
    "contact": "Whom to ask?",
}
"""Key in datasheet.toml to the question."""
OPEN = "*Not answered yet.*"
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip


def read_answers(folder: Path) -> dict[str, str]:
    """What a lab has written into datasheet.toml; raises StudyError for keys that are no question."""
    path = folder / ANSWERS
    if not path.is_file():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"not valid TOML: {error}", place=path, fix="correct that line") from None
    strange = sorted(set(document) - set(QUESTIONS))
    if strange:
        raise StudyError(f"{strange[0]}: no such question", place=path, fix=f"answer any of {', '.join(QUESTIONS)}")
    return {key: str(value) for key, value in document.items()}


def write_datasheet(
    path: str | Path, *, name: str, samples: pd.DataFrame, answers: Mapping[str, str], findings: list[dict[str, Any]]
) -> int:
    """Write the datasheet as Markdown; returns how many questions are open."""
    lines = [f"# Datasheet: {name}", "", "## What the files say", "", *known_lines(samples), ""]
    lines += ["## What the lab says", ""]
    for key, question in QUESTIONS.items():
        lines += [f"**{question}**", "", answers.get(key, OPEN), ""]
    lines += ["## What the audit found", ""]
    lines += [f"- {f['severity']}, {f['rule'].replace('_', ' ')}: {f['evidence']}" for f in findings] or ["Nothing."]
    write_text(path, "\n".join(lines) + "\n")
    return sum(key not in answers for key in QUESTIONS)


def known_lines(samples: pd.DataFrame) -> list[str]:
    """What can be counted: samples, groups, classes, and each column."""
    lines = [f"- {len(samples)} samples of {samples['group'].nunique()} groups"]
    if "label" in samples:
        counts = samples["label"].value_counts()
        lines.append("- classes: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    for column in samples.columns:
        if column in ("sample", "group", "label", "part"):
            continue
        values = samples[column].dropna()
        kinds = values.nunique()
        shown = ", ".join(str(v) for v in sorted(values.astype(str).unique())[:8]) if kinds <= 8 else f"{kinds} values"
        lines.append(f"- {column}: {shown} (known of {len(values)})")
    return lines


def write_croissant(
    path: str | Path, *, name: str, files: list[Path], folder: Path, samples: pd.DataFrame, answers: Mapping[str, str]
) -> None:
    """Write the Croissant JSON-LD: the label files with their checksums, and a record set with a field a column."""
    objects = []
    for file in files:
        inside = file.resolve().is_relative_to(folder.resolve())
        objects.append(
            {
                "@type": "cr:FileObject", "@id": file.name, "name": file.name,
                "contentUrl": file.resolve().relative_to(folder.resolve()).as_posix() if inside else file.name,
                "encodingFormat": MEDIA.get(file.suffix.lower(), "application/octet-stream"), "sha256": sha256(file),
                "contentSize": f"{file.stat().st_size} B",
            }
        )  # fmt: skip
    first = objects[0]["@id"] if objects else None
    fields = [
        {
            "@type": "cr:Field", "@id": f"samples/{column}", "name": str(column),
            "dataType": "sc:Float" if pd.api.types.is_numeric_dtype(samples[column]) else "sc:Text",
            **({"source": {"fileObject": {"@id": first}, "extract": {"column": str(column)}}} if first else {}),
        }
        for column in samples.columns
    ]  # fmt: skip
    document = {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0", "name": name,
        "description": answers.get("purpose", f"{len(samples)} samples of {samples['group'].nunique()} groups"),
        "license": answers.get("licence", "unknown"), "creator": {"@type": "sc:Organization",
        "name": answers.get("creators", "unknown")}, "distribution": objects,
        "recordSet": [{"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "field": fields}],
    }  # fmt: skip
    write_json(path, document)


MEDIA = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".json": "application/json", ".xml": "application/xml",
    ".tps": "text/plain", ".toml": "application/toml",
}  # fmt: skip
