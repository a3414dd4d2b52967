// Pairs of trails and the tree of all of them: what is said of each pair, and which trails are one animal at the cut.
import { computed, signal } from "@preact/signals";
import { change, changeOf, valueOf } from "../edits";
import { item, open, queue, say, step } from "../state";
import type { Detail, QueueRow } from "../types";

export type Verdict = "same" | "different" | "unsure";

export interface TreeShown {
  trails: string[];
  linkage: [number, number, number, number][];
  height: string;
  native: number;
  cut: { value: number; revision: number };
  individuals: { value: number | null; low?: number | null; high?: number | null };
  item: string;
  between: string;
  prints: number[];
  sites: string[];
}
export interface Trail {
  name: string;
  prints: number;
  known: Record<string, string>;
  individual: number;
  pictures: { name: string; there: boolean }[];
}
export interface Measure {
  name: string;
  low: number;
  high: number;
  least: number;
  most: number;
  a: number[];
  b: number[];
}
export interface PairDetail extends Detail {
  score: number | null;
  trails: [Trail, Trail];
  measures: Measure[];
  canonical: { a: [number, number][]; b: [number, number][]; others: [number, number][] } | null;
}

export const tree = computed(() => ((queue.value?.scheme as any)?.tree ?? null) as TreeShown | null);
export const cut = signal<{ value: number; revision: number } | null>(null);
export const draft = signal<number | null>(null); // the cut while it is under the hand
export const height = computed(() => draft.value ?? cut.value?.value ?? 0);
export const picked = signal<number | null>(null); // the first trail of a pair that is being chosen

export const TONES = { a: "#2b8fc4", b: "#d9822b" };
const PAINT = ["#2b8fc4", "#d9822b", "#3a9d5d", "#b0559b", "#7e6bc4", "#c4514d", "#a08a1e", "#2f9c95"];
export const paint = (group: number) => PAINT[group % PAINT.length];

/** Leaves from left to right, and each node's place: in the order of leaves, and its height. */
export const layout = computed(() => {
  const now = tree.value;
  if (!now) return null;
  const n = now.trails.length;
  const order: number[] = [];
  const stack = [n + now.linkage.length - 1];
  while (stack.length) {
    const node = stack.pop()!;
    if (node < n) order.push(node);
    else stack.push(now.linkage[node - n][1], now.linkage[node - n][0]);
  }
  const x = new Array<number>(n + now.linkage.length).fill(0);
  order.forEach((leaf, i) => (x[leaf] = i));
  now.linkage.forEach(([a, b], i) => (x[n + i] = (x[a] + x[b]) / 2));
  const heights = now.linkage.map((merge) => merge[2]).sort((p, q) => p - q);
  return { order, x, heights, top: Math.max(1e-9, heights.at(-1) ?? 1) * 1.08 };
});

/** The animal of each trail at the cut, numbered from left to right, and of each merge below it (-1 above). */
export const groups = computed(() => {
  const now = tree.value;
  const place = layout.value;
  if (!now || !place) return { of: [] as number[], nodes: [] as number[], count: 0 };
  const n = now.trails.length;
  const root = Array.from({ length: n + now.linkage.length }, (_, i) => i);
  for (let i = now.linkage.length - 1; i >= 0; i--) {
    const [a, b, at] = now.linkage[i];
    if (at <= height.value) root[a] = root[b] = root[n + i];
  }
  const number = new Map<number, number>();
  for (const leaf of place.order) if (!number.has(root[leaf])) number.set(root[leaf], number.size);
  const nodes = root.map((r, i) => (i < n || now.linkage[i - n][2] <= height.value ? (number.get(r) ?? -1) : -1));
  return { of: nodes.slice(0, n), nodes, count: number.size };
});

/** The middle of the heights at which the tree has so many animals. */
export function heightFor(count: number): number {
  const heights = [0, ...layout.value!.heights, layout.value!.top];
  const below = tree.value!.trails.length - count;
  return (heights[below] + heights[below + 1]) / 2;
}

export function saveCut(value: number): void {
  const now = tree.value;
  if (!now || !cut.value) return;
  draft.value = null;
  cut.value = { ...cut.value, value };
  changeOf(now.item, { cut: value }, () => ({ cut: cut.value?.revision ?? 0 }));
}

export function cutTo(count: number): void {
  const n = tree.value?.trails.length ?? 0;
  if (n && count >= 1 && count <= n) saveCut(heightFor(count));
}

/** The two trails of a pair's row, by their numbers. */
function ends(row: QueueRow, now: TreeShown, place: Map<string, number>): [number, number] | null {
  const parts = row.item.split(now.between);
  for (let i = 1; i < parts.length; i++) {
    const a = place.get(parts.slice(0, i).join(now.between));
    const b = place.get(parts.slice(i).join(now.between));
    if (a !== undefined && b !== undefined) return [a, b];
  }
  return null;
}

/** Verdicts that the cut does not agree with. */
export const against = computed(() => {
  const now = tree.value;
  if (!now) return [];
  const place = new Map(now.trails.map((name, i) => [name, i]));
  return (queue.value?.items ?? []).filter((row) => {
    if (row.grade !== "same" && row.grade !== "different") return false;
    const pair = ends(row, now, place);
    return pair && (groups.value.of[pair[0]] === groups.value.of[pair[1]]) !== (row.grade === "same");
  });
});

/** Choose a trail; the second one chosen opens the pair. */
export function pick(trail: number): void {
  const first = picked.value;
  if (first === null || first === trail) {
    picked.value = first === trail ? null : trail;
    if (picked.value !== null) say(`${tree.value!.trails[trail]}: choose the trail to hold beside it`);
    return;
  }
  picked.value = null;
  const [a, b] = [first, trail].sort((p, q) => p - q).map((i) => tree.value!.trails[i]);
  open(`${a}${tree.value!.between}${b}`);
}

export function judge(verdict: Verdict): void {
  const again = valueOf<Verdict | null>("verdict") === verdict;
  const name = item.value;
  change(again ? { verdict: null, status: null } : { verdict, status: verdict === "unsure" ? null : "done" });
  if (!again && name === item.value) step(1);
}

/** How much likelier one reading is than the other, from the log-likelihood ratio. */
export function likelier(score: number | null): string {
  if (score === null) return "These two were not compared";
  const times = Math.exp(Math.min(Math.abs(score), 12));
  const said = times >= 10000 ? "over 10,000" : times >= 100 ? Math.round(times).toLocaleString("en") : times.toPrecision(2);
  return `${said} times likelier ${score > 0 ? "one animal" : "two animals"}`;
}
