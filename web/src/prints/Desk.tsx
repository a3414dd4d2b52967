// Who left these prints: pairs of trails to judge, and the tree of all of them to cut.
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, query } from "../api";
import { change, detail, last, turn, valueOf } from "../edits";
import { type Key, keymap } from "../keys";
import { Aside } from "../parts/Aside";
import { History } from "../parts/History";
import { Marks } from "../parts/Marks";
import { Queue } from "../parts/Queue";
import { Section } from "../parts/Section";
import { dialog, item, mayEdit, open, queue, say, step, taskPath, tell } from "../state";
import { type PairDetail, type Verdict, against, cut, cutTo, draft, groups, judge, paint, pick, picked, tree } from "./model";
import { Pair } from "./Pair";
import { Tree } from "./Tree";

export function PrintDesk() {
  useEffect(() => {
    keymap.value = KEYS;
    cut.value = draft.value = picked.value = null;
    const stops = [
      effect(() => {
        const name = item.value;
        const path = `${taskPath()}/item?${query({ name: name ?? "" })}`;
        if (!name) detail.value = null;
        else get<PairDetail>(path).then((found) => item.value === name && (detail.value = found)).catch(tell);
      }),
      effect(() => {
        const shown = tree.value?.cut;
        if (shown && shown.revision >= (cut.peek()?.revision ?? 0)) cut.value = shown;
      }),
      effect(() => {
        const held = last.value && last.value.item === tree.peek()?.item && last.value.values.cut;
        if (held) cut.value = { value: held.value as number, revision: held.revision };
      }),
      effect(() => {
        const first = queue.value?.items[0]?.item; // trails that are identified after the page was opened
        if (first && !item.peek()) open(first);
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);
  const now = detail.value as PairDetail | null;
  return (
    <main class="desk">
      <Queue noun="pairs" />
      <section class="middle prints" aria-label="Trails">
        {now?.trails ? <Pair now={now} /> : <p class="hint pad">{queue.value && !queue.value.ready ? "Identifying the trails …" : ((queue.value?.scheme as any)?.warnings ?? [])[0] ?? ""}</p>}
        <Tree />
      </section>
      <Aside>
        {now?.trails && (
          <>
            <Marks done={false}><Verdicts /></Marks>
            <Animals />
            <History />
          </>
        )}
      </Aside>
    </main>
  );
}

const SAID: [Verdict, string, string][] = [["same", "Same", "s"], ["different", "Different", "d"], ["unsure", "Unsure", "a"]];

function Verdicts() {
  const now = valueOf<Verdict | null>("verdict");
  return (
    <div class="segments verdicts" role="group" aria-label="Verdict">
      {SAID.map(([verdict, text, key]) => (
        <button key={verdict} class={`verdict-${verdict} ${now === verdict ? "on" : ""}`} aria-pressed={now === verdict} disabled={!mayEdit.value} onClick={() => judge(verdict)}>
          {text}<kbd>{key}</kbd>
        </button>
      ))}
    </div>
  );
}

function Animals() {
  const now = tree.value!;
  const { of, count } = groups.value;
  const found = now.individuals;
  const moved = cut.value !== null && Math.abs(cut.value.value - now.native) > 1e-9;
  return (
    <Section title="Animals at the cut" note={`${count}`} name="animals" open>
      <p class="hint">
        {found.value !== null && `The count says ${found.value}${found.low != null && found.high != null ? `, 95 % interval ${found.low} to ${found.high}` : ""}.`}
      </p>
      {mayEdit.value && (
        <div class="row">
          <button class="quiet" onClick={() => turn("undo", now.item)}>Undo the cut</button>
          <button class="quiet" disabled={!moved} onClick={() => cutTo(Math.round(found.value ?? count))}>As counted</button>
        </div>
      )}
      {against.value.length > 0 && (
        <div class="doubt">
          <p>{against.value.length === 1 ? "One verdict is" : `${against.value.length} verdicts are`} against this cut:</p>
          {against.value.slice(0, 8).map((row) => <button key={row.item} class="bare" onClick={() => open(row.item)}>{row.item} ({row.grade})</button>)}
        </div>
      )}
      <ol class="animals">
        {Array.from({ length: count }, (_, group) => (
          <li key={group}>
            <i style={{ background: paint(group) }} />
            <span>{now.trails.map((name, i) => of[i] === group && <button key={name} class={`chip ${picked.value === i ? "on" : ""}`} aria-pressed={picked.value === i} onClick={() => pick(i)}>{name}</button>)}</span>
          </li>
        ))}
      </ol>
    </Section>
  );
}

const edit = (run: () => void) => () => {
  if (mayEdit.value) run();
  else say("Your role here is to look", "bad");
};

const KEYS: Key[] = [
  { group: "Verdict", keys: ["s"], does: "same animal, next pair", run: edit(() => judge("same")) },
  { group: "Verdict", keys: ["d"], does: "different animals, next pair", run: edit(() => judge("different")) },
  { group: "Verdict", keys: ["a"], does: "cannot say, next pair", run: edit(() => judge("unsure")) },
  { group: "Verdict", keys: ["Ctrl+z", "u"], does: "undo your last edit here", run: edit(() => turn("undo")) },
  { group: "Verdict", keys: ["Ctrl+Shift+z", "Ctrl+y"], does: "redo", run: edit(() => turn("redo")) },
  { group: "Tree", keys: ["]"], does: "cut higher: an animal fewer", run: edit(() => cutTo(groups.value.count - 1)) },
  { group: "Tree", keys: ["["], does: "cut lower: an animal more", run: edit(() => cutTo(groups.value.count + 1)) },
  { group: "Queue", keys: ["n", "j", "PageDown"], does: "next pair", run: () => step(1) },
  { group: "Queue", keys: ["k", "PageUp"], does: "previous pair", run: () => step(-1) },
  { group: "Queue", keys: ["f"], does: "flag or unflag", run: edit(() => change({ status: valueOf("status") === "flagged" ? null : "flagged" })) },
  { group: "Queue", keys: ["/"], does: "filter the queue", run: () => document.querySelector<HTMLInputElement>("#filter")?.focus() },
  { group: "Queue", keys: ["Escape"], does: "let go", run: () => (picked.value = null) },
  { group: "Queue", keys: ["?", "Shift+?"], does: "this list", run: () => (dialog.value = "help") },
];
