// A volume in three planes with its segments.
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, query } from "../api";
import { change, detail, turn, valueOf } from "../edits";
import { type Key, keymap } from "../keys";
import { Aside } from "../parts/Aside";
import { History } from "../parts/History";
import { LightPanel, Slider } from "../parts/LightPanel";
import { Marks } from "../parts/Marks";
import { Queue } from "../parts/Queue";
import { Section } from "../parts/Section";
import { dialog, item, mayEdit, say, step, taskPath, tell } from "../state";
import { Pane } from "./Pane";
import { Solid } from "./Solid";
import {
  type Instance, type VolumeDetail, choose, chosen, correct, correction, cross, instances, merging, nameOf, root, see, seeds,
  segmentOf, set, volume,
} from "./model";

export function VolumeDesk() {
  useEffect(() => {
    keymap.value = KEYS;
    let timer = 0;
    const stop = effect(() => {
      const name = item.value;
      const path = `${taskPath()}/item?${query({ name: name ?? "" })}`;
      clearTimeout(timer);
      chosen.value = seeds.value = null;
      merging.value = false;
      if (!name) detail.value = null;
      else ask(name, path);
    });
    async function ask(name: string, path: string): Promise<void> {
      try {
        const found = await get<VolumeDetail>(path);
        if (item.value !== name) return;
        if (found.shape) cross.value = (found.instances[0]?.centre ?? found.shape.map((n) => n >> 1)) as [number, number, number];
        detail.value = found;
        if (!found.ready) timer = window.setTimeout(() => ask(name, path), 1000);
      } catch (error) {
        tell(error);
      }
    }
    return () => (stop(), clearTimeout(timer));
  }, []);
  const now = volume.value;
  return (
    <main class="desk">
      <Queue noun="volumes" />
      <section class="middle volume" aria-label="Volume">
        {now?.ready ? <>
          <Pane axis="z" /><Pane axis="y" /><Pane axis="x" />
          <Solid />
        </> : <p class="preparing">{now ? "Cutting the volume into planes; this is done once …" : ""}</p>}
      </section>
      <Aside>
        {now?.ready && (
          <>
            <Facts now={now} />
            <Marks />
            <Overlays now={now} />
            {chosen.value !== null && <Chosen id={chosen.value} />}
            <Segments />
            <LightPanel server={false} />
            <History />
          </>
        )}
      </Aside>
    </main>
  );
}

function Facts({ now }: { now: VolumeDetail }) {
  const [z, y, x] = cross.value;
  const mm = now.spacing!.map((s) => (s < 0.1 ? s.toPrecision(3) : s.toFixed(2)));
  return (
    <div class="facts">
      <h1>{now.label}</h1>
      <dl class="figures">
        <dt>Voxels</dt><dd>{[...now.shape!].reverse().join(" × ")}</dd>
        <dt>Spacing</dt><dd>{mm.join(" × ")} mm</dd>
        <dt>Cross hair</dt><dd>{x}, {y}, {z}</dd>
        {now.run && <><dt>Prediction</dt><dd>{now.segments.prediction ? `run ${now.run}` : "none of this one"}</dd></>}
      </dl>
      {now.need.reasons.map((reason) => <p key={reason} class="doubt">{reason}</p>)}
    </div>
  );
}

function Overlays({ now }: { now: VolumeDetail }) {
  const on = see.value;
  return (
    <Section title="Overlays" name="overlays" open>
      <div class="segments three" role="group" aria-label="Overlays">
        <button class={on.truth ? "on" : ""} aria-pressed={on.truth} disabled={!now.segments.truth} onClick={() => set({ truth: !on.truth })}>Truth<kbd>t</kbd></button>
        <button class={on.prediction ? "on" : ""} aria-pressed={on.prediction} disabled={!now.segments.prediction} onClick={() => set({ prediction: !on.prediction })}>Prediction<kbd>p</kbd></button>
        <button class={on.disagreement ? "on" : ""} aria-pressed={on.disagreement} disabled={!now.segments.truth || !now.segments.prediction} onClick={() => set({ disagreement: !on.disagreement })}>Differ<kbd>e</kbd></button>
      </div>
      {on.disagreement && <ul class="legend"><li><i style={{ background: "#2f6bff" }} />missed</li><li><i style={{ background: "#ff4b3a" }} />invented</li><li><i style={{ background: "#ffc21f" }} />another segment</li></ul>}
      <Slider label="Opacity" value={on.opacity} min={0} max={1} step={0.05} set={(opacity) => set({ opacity })} show={(v) => `${Math.round(100 * v)} %`} />
    </Section>
  );
}

function Chosen({ id }: { id: number }) {
  const now = correction(id);
  const off = !mayEdit.value;
  const row = instances.value.find((one) => one.id === id);
  return (
    <div class="chosen">
      <p><i style={{ background: css(id) }} /><b>{nameOf(id)}</b>{now.into !== undefined && <span> → {nameOf(root(id))}</span>}</p>
      {row && <p class="number">{row.voxels.toLocaleString()} voxels{row.dice !== null && ` · Dice ${row.dice.toFixed(3)}`}</p>}
      <div class="segments">
        <button class={`done ${now.status === "accepted" ? "on" : ""}`} disabled={off} onClick={() => accept(id)}>Accept<kbd>a</kbd></button>
        <button class={`flag ${now.status === "flagged" ? "on" : ""}`} disabled={off} onClick={() => correct(id, { status: now.status === "flagged" ? undefined : "flagged" })}>Flag<kbd>f</kbd></button>
      </div>
      <form class="field inline" onSubmit={(e) => { e.preventDefault(); correct(id, { name: String(new FormData(e.currentTarget).get("name")).trim() || undefined }); }}>
        <span>Name</span><input key={id} name="name" defaultValue={nameOf(id)} disabled={off} maxLength={200} aria-label="Name of the segment" />
      </form>
      <div class="segments">
        <button class={merging.value ? "on" : ""} disabled={off} onClick={startMerge}>Merge<kbd>m</kbd></button>
        <button class={seeds.value ? "on" : ""} disabled={off} onClick={startSplit}>Split<kbd>s</kbd></button>
        <button class="quiet" disabled={off || !Object.keys(now).length} onClick={() => change({ [`segment:${id}`]: null })}>As it was</button>
      </div>
      {merging.value && <p class="hint">Click the segment that it belongs to.</p>}
      {seeds.value && (
        <>
          <p class="hint">Click one voxel in each part ({seeds.value.length} set); each voxel goes to the nearest.</p>
          <button class="main wide" disabled={seeds.value.length < 2} onClick={() => { correct(id, { seeds: seeds.value!, into: undefined }); seeds.value = null; }}>Split into {Math.max(2, seeds.value.length)}</button>
        </>
      )}
    </div>
  );
}

function Segments() {
  return (
    <Section title="Segments" note={`${instances.value.length}, worst first`} name="segments" open>
      <ul class="landmarks instances" role="listbox" aria-label="Segments">
        {instances.value.map((row) => <Row key={row.id} row={row} />)}
      </ul>
    </Section>
  );
}

function Row({ row }: { row: Instance }) {
  const now = correction(row.id);
  const state = now.into !== undefined ? "merged" : now.seeds ? "split" : now.status;
  return (
    <li role="option" aria-selected={chosen.value === row.id} class={chosen.value === row.id ? "chosen" : ""} onClick={() => choose(row.id, true)}>
      <i style={{ background: css(row.id) }} />
      <span class="name">{nameOf(row.id)}</span>
      {state && <em class={`tag ${state}`}>{state}</em>}
      <span class="number">{row.dice === null ? "" : row.dice.toFixed(2)}</span>
    </li>
  );
}

const css = (id: number) => `rgb(${(segmentOf(id)?.color ?? [1, 1, 1]).map((v) => Math.round(v * 255)).join(" ")})`;

function accept(id: number): void {
  correct(id, { status: correction(id).status === "accepted" ? undefined : "accepted" });
}

function startMerge(): void {
  seeds.value = null;
  merging.value = !merging.value;
}

function startSplit(): void {
  merging.value = false;
  seeds.value = seeds.value ? null : [];
}

function walk(by: number): void {
  const list = instances.value;
  if (!list.length) return;
  const at = list.findIndex((one) => one.id === chosen.value);
  choose(list[(at + by + list.length) % list.length].id, true);
}

const withChosen = (run: (id: number) => void) => () => {
  if (!mayEdit.value) say("Your role here is to look", "bad");
  else if (chosen.value === null) say("Choose a segment first (Tab)");
  else run(chosen.value);
};

const KEYS: Key[] = [
  { group: "Segments", keys: ["Tab"], does: "next worst segment", run: () => walk(1) },
  { group: "Segments", keys: ["Shift+Tab"], does: "the one before", run: () => walk(-1) },
  { group: "Segments", keys: ["a"], does: "accept", run: withChosen(accept) },
  { group: "Segments", keys: ["f"], does: "flag", run: withChosen((id) => correct(id, { status: correction(id).status === "flagged" ? undefined : "flagged" })) },
  { group: "Segments", keys: ["m"], does: "merge with the next one clicked", run: withChosen(startMerge) },
  { group: "Segments", keys: ["s"], does: "split by seeds", run: withChosen(startSplit) },
  { group: "Overlays", keys: ["t"], does: "truth", run: () => set({ truth: !see.value.truth }) },
  { group: "Overlays", keys: ["p"], does: "prediction", run: () => set({ prediction: !see.value.prediction }) },
  { group: "Overlays", keys: ["e"], does: "where they differ", run: () => set({ disagreement: !see.value.disagreement }) },
  { group: "Slices", keys: ["ArrowUp"], does: "axial slice up", run: () => slide(0, 1) },
  { group: "Slices", keys: ["ArrowDown"], does: "axial slice down", run: () => slide(0, -1) },
  { group: "Queue", keys: ["n", "PageDown"], does: "next volume", run: () => step(1) },
  { group: "Queue", keys: ["k", "PageUp"], does: "previous volume", run: () => step(-1) },
  { group: "Queue", keys: ["d", "Enter"], does: "done", run: () => change({ status: valueOf("status") === "done" ? null : "done" }) },
  { group: "Queue", keys: ["Ctrl+z", "u"], does: "undo your last edit here", run: () => turn("undo") },
  { group: "Queue", keys: ["Ctrl+Shift+z", "Ctrl+y"], does: "redo", run: () => turn("redo") },
  { group: "Queue", keys: ["Escape"], does: "let go", run: () => { merging.value = false; seeds.value = null; choose(null); } },
  { group: "Queue", keys: ["?"], does: "this list", run: () => (dialog.value = "help") },
];

function slide(place: 0 | 1 | 2, by: number): void {
  const next = [...cross.value] as [number, number, number];
  next[place] = Math.min((volume.value?.shape?.[place] ?? 1) - 1, Math.max(0, next[place] + by));
  cross.value = next;
}

