// What the keyboard does at a specimen.
import { change, turn, valueOf } from "../edits";
import type { Key } from "../keys";
import { light, setLight } from "../stage/light";
import { centred, toScreen } from "../stage/view";
import { dialog, mayEdit, say, step } from "../state";
import type { Xy } from "../types";
import { stage } from "./Canvas";
import { acceptGhost, place, points, scheme, select, selected, swapping, tape, toggle, tool } from "./model";

export function grade(value: string | null): void {
  change({ grade: value });
  if (value) step(1);
}

export function markDone(): void {
  change({ status: valueOf("status") === "done" ? null : "done" });
  if (valueOf("status") === "done") step(1);
}

export function cycle(by: number): void {
  const count = points.value.length;
  if (!count) return;
  const next = selected.value === null ? (by > 0 ? 0 : count - 1) : (selected.value + by + count) % count;
  select(next);
  const p = points.value[next];
  if (p && stage && !inside(p)) stage.look(centred(stage.view, p, ...stage.size));
}

function inside(p: Xy): boolean {
  const { view, size } = stage!;
  const [x, y] = [view.x + p[0] * view.zoom, view.y + p[1] * view.zoom];
  return x > 30 && y > 30 && x < size[0] - 30 && y < size[1] - 30;
}

function nudge(dx: number, dy: number, event: KeyboardEvent): void {
  const i = selected.value;
  const p = i === null ? null : points.value[i];
  if (i === null || !p) {
    if (dx === 0) step(dy);
    return;
  }
  const by = event.shiftKey ? 10 : event.altKey ? 0.1 : 1;
  if (mayEdit.value) place(i, [p[0] + dx * by, p[1] + dy * by]);
}

/** Zoom about the chosen landmark, else about the middle. */
function zoom(factor: number): void {
  const p = selected.value === null ? null : points.value[selected.value];
  stage?.zoomBy(factor, p && inside(p) ? toScreen(stage.view, p) : undefined);
}

const arrows = (name: string) => [name, `Shift+${name}`, `Alt+${name}`];
const edit = (run: (event: KeyboardEvent) => void) => (event: KeyboardEvent) => {
  if (mayEdit.value) run(event);
  else say("Your role here is to look", "bad");
};

export const startTool = (which: "measure" | "scale") => {
  tool.value = tool.value === which ? "points" : which;
  tape.value = [];
};

export const KEYS: Key[] = [
  { group: "Queue", keys: ["n", "j", "PageDown"], does: "next specimen", run: () => step(1) },
  { group: "Queue", keys: ["k", "PageUp"], does: "previous specimen", run: () => step(-1) },
  { group: "Queue", keys: ["g"], does: "grade good, next", run: edit(() => grade("good")) },
  { group: "Queue", keys: ["b"], does: "grade bad, next", run: edit(() => grade("bad")) },
  { group: "Queue", keys: ["d", "Enter"], does: "done, next", run: edit(markDone) },
  { group: "Queue", keys: ["f"], does: "flag or unflag", run: edit(() => change({ status: valueOf("status") === "flagged" ? null : "flagged" })) },
  { group: "Queue", keys: ["/"], does: "filter the queue", run: () => document.querySelector<HTMLInputElement>("#filter")?.focus() },
  { group: "Landmarks", keys: ["Tab"], does: "next landmark", run: () => cycle(1) },
  { group: "Landmarks", keys: ["Shift+Tab"], does: "previous landmark", run: () => cycle(-1) },
  { group: "Landmarks", keys: arrows("ArrowLeft"), does: "nudge 1 px; Shift 10 px, Alt 0.1 px", run: edit((e) => nudge(-1, 0, e)) },
  { group: "Landmarks", keys: arrows("ArrowRight"), does: "", run: edit((e) => nudge(1, 0, e)) },
  { group: "Landmarks", keys: arrows("ArrowUp"), does: "", run: edit((e) => nudge(0, -1, e)) },
  { group: "Landmarks", keys: arrows("ArrowDown"), does: "", run: edit((e) => nudge(0, 1, e)) },
  {
    group: "Landmarks", keys: ["h", "Delete", "Backspace"], does: "hide: it cannot be seen",
    run: edit(() => selected.value !== null && place(selected.value, null)),
  },
  {
    group: "Landmarks", keys: ["x"], does: "swap with the next one chosen",
    run: edit(() => {
      swapping.value = swapping.value === null ? selected.value : null;
      if (swapping.value !== null) say(`Choose what to swap with ${scheme.value!.names[swapping.value]}`);
    }),
  },
  {
    group: "Landmarks", keys: ["a"], does: "take the prediction for this landmark",
    run: edit(() => acceptGhost(selected.value === null ? [] : [selected.value])),
  },
  { group: "Landmarks", keys: ["Shift+a"], does: "take the prediction for all", run: edit(() => acceptGhost(points.value.map((_, i) => i))) },
  { group: "Landmarks", keys: ["Ctrl+z", "u"], does: "undo your last edit here", run: edit(() => turn("undo")) },
  { group: "Landmarks", keys: ["Ctrl+Shift+z", "Ctrl+y", "Shift+u"], does: "redo", run: edit(() => turn("redo")) },
  { group: "View", keys: ["+", "="], does: "zoom in", run: () => zoom(1.25) },
  { group: "View", keys: ["-"], does: "zoom out", run: () => zoom(0.8) },
  { group: "View", keys: ["0"], does: "whole picture", run: () => stage?.fit() },
  { group: "View", keys: ["l"], does: "names", run: () => toggle("names") },
  { group: "View", keys: ["p"], does: "prediction", run: () => toggle("ghost") },
  { group: "View", keys: ["e"], does: "where the others put it", run: () => toggle("ellipses") },
  { group: "View", keys: ["i"], does: "invert", run: () => setLight({ invert: !light.value.invert }) },
  { group: "View", keys: ["c"], does: "local contrast (CLAHE)", run: () => setLight({ clahe: light.value.clahe ? 0 : 2 }) },
  { group: "View", keys: ["m"], does: "measure", run: () => startTool("measure") },
  { group: "View", keys: ["s"], does: "set the scale by two points", run: edit(() => startTool("scale")) },
  {
    group: "View", keys: ["Escape"], does: "let go", run: () => {
      tool.value = "points";
      tape.value = [];
      swapping.value = null;
      selected.value = null;
    },
  },
  { group: "View", keys: ["?", "Shift+?"], does: "this list", run: () => (dialog.value = "help") },
];
