// Out of the page: download in a format, or write the corrections into the study's own files.
import { useEffect, useState } from "preact/hooks";
import { ask, get } from "../api";
import { dialog, item, study, task, taskPath, tell } from "../state";
import { Dialog } from "./Dialog";

interface Format {
  name: string;
  title: string;
  suffix: string;
}
const KINDS: Record<string, string> = { ".slp": "SLEAP .slp", ".csv": "Table .csv", ".h5": "SLEAP analysis .h5", ".json": "COCO .json" };

const PLACES: Record<string, string> = { segmentation: "volume", identity: "prints" };

interface Written {
  files: string[];
  copies: string[];
  notes: string[];
}

export function Output() {
  const [formats, setFormats] = useState<Format[]>([]);
  const [written, setWritten] = useState<Written | null>(null);
  const [busy, setBusy] = useState(false);
  const still = task.value!.kind === "landmarks";
  const kind = task.value!.kind;
  const base = still ? taskPath() : `${taskPath()}/${PLACES[kind] ?? "video"}`;
  const suffixes = kind === "segmentation" || kind === "identity" ? [] : kind === "pose" ? [".slp", ".csv", ".h5", ".json"] : [".csv"];
  useEffect(() => {
    if (still) get<Format[]>(`${taskPath()}/formats`).then(setFormats).catch(tell);
  }, []);
  const write = async () => {
    setBusy(true);
    try {
      setWritten(await ask<Written>("POST", `${base}/write-back`));
    } catch (error) {
      tell(error);
    }
    setBusy(false);
  };
  return (
    <Dialog title="Export and write back" close={() => (dialog.value = null)} wide>
      <p class="lead">Corrections of <b>{task.value!.name}</b> in <b>{study.value!.name}</b>, and of no other study.</p>
      <h3>Download</h3>
      <div class="formats">
        {still && <a class="button main" href={`${base}/export?format=all`} download>All formats, zip</a>}
        {kind === "segmentation" && item.value && <a class="button" href={`${base}/export?name=${encodeURIComponent(item.value)}`} download>{item.value} as .seg.nrrd</a>}
        {kind === "identity" && <a class="button main" href={`${base}/export`} download>Verdicts and animals, zip</a>}
        {!still && suffixes.map((suffix) => <a key={suffix} class="button" href={`${base}/export?suffix=${suffix}`} download>{KINDS[suffix]}</a>)}
        {formats.map((format) => (
          <a key={format.name} class="button" href={`${taskPath()}/export?format=${format.name}`} download title={format.suffix}>{format.title}</a>
        ))}
      </div>
      {study.value!.role === "manage" && (
        <>
          <h3>Write back</h3>
          <p class="hint">{kind === "identity" ? "Writes verdicts.csv and reviewed.csv beside the identification; identify --verdicts counts again and keeps to them." : "Replaces the study's own label file (and grades) by the corrected ones, whole or not at all. What they were is kept in review/before."}</p>
          <button class="main" disabled={busy} onClick={write}>Write into the study's files</button>
          {written && <Done written={written} />}
        </>
      )}
    </Dialog>
  );
}

function Done({ written }: { written: Written }) {
  return (
    <div class="written" role="status">
      <p><b>Written:</b> {written.files.join(", ")}</p>
      <p><b>Kept:</b> {written.copies.join(", ")}</p>
      {written.notes.map((note) => <p key={note} class="hint">{note}</p>)}
    </div>
  );
}
